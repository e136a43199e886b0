import type { Call } from "../wire/call.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { mayBeStored, publish } from "../wire/publish.ts";
import { publishBatch } from "../wire/publish_batch.ts";
import type { Session } from "../wire/session.ts";
import type { OrphanedChunks } from "./_orphaned_chunks.ts";
import { versionOf } from "./format/object_meta.ts";
import type { Newest, ObjectMemory } from "./_object_memory.ts";
import type { ObjectStream } from "./_object_stream.ts";

/** Infos that are remembered. */
const MAX_INFOS = 10_000;

/** An info to be stored. */
export interface NewInfo {
  subject: string;
  /** The version that it names, also that of the info in whose place it is stored; none for the mark of a deletion. */
  nuid?: string;
  body: string;
  /** Whether an attempt to store it was not answered: it may be stored. */
  isUnconfirmed?: boolean;
  /** What that attempt has replaced, if it was stored. */
  replaced?: Newest;
}

const NO_HEADERS = {};

/** There is no info. */
const NONE: Newest = { sequence: 0 };

/**
 * Stores the infos that make chunks an object, each guarded by the sequence of the one it replaces. So every writer learns which chunks its write
 * orphans.
 */
export class ObjectInfos {
  readonly #stream: ObjectStream;
  readonly #orphans: OrphanedChunks;
  readonly #memory: ObjectMemory;

  constructor(stream: ObjectStream, orphans: OrphanedChunks, memory: ObjectMemory) {
    this.#stream = stream;
    this.#memory = memory;
    this.#orphans = orphans;
  }

  /** Runs a write of an info once the writes of it that this process has begun before have ended. */
  inTurn<T>(subject: string, deadline: number, write: () => Promise<T>): Promise<T> {
    return this.#memory.turns.take(subject, deadline, write);
  }

  /** The newest info that this process has seen. */
  known(subject: string): Newest | undefined {
    const { infos } = this.#memory;
    const known = infos.get(subject);
    if (!known || known.until > performance.now()) return known;
    infos.delete(subject);
    return NONE;
  }

  /** The newest info on the stream's leader. */
  async look(call: Call, subject: string): Promise<Newest> {
    const message = await leaderGet(call, this.#stream.name, { last_by_subj: subject });
    return message ? { sequence: message.sequence, nuid: versionOf(message) } : NONE;
  }

  /** Stores an info in place of the newest one, whichever that is. May be repeated. */
  async replace(
    call: Call,
    info: NewInfo,
    known: Newest | undefined = this.known(info.subject),
  ): Promise<void> {
    for (let newest = known;; newest = undefined) {
      newest ??= await this.look(call, info.subject);
      if (info.nuid && newest.nuid === info.nuid) {
        return this.#stored(call.session, info, newest.sequence, info.replaced ?? NONE);
      }
      try {
        return await this.store(call, info, newest);
      } catch (error) {
        if (!isRefusedByOthers(error)) throw error;
      }
    }
  }

  /**
   * Stores an info in place of the newest one, whose chunks are orphaned then.
   *
   * @param behind Id of the message that must be the last one in the stream.
   * @throws {JetStreamStoreError} If it is not the newest one, see {@linkcode isRefusedByOthers}.
   */
  store(call: Call, info: NewInfo, newest: Newest, behind?: string): Promise<void> {
    const { subject, body } = info;
    const headers = new HeaderBlock(
      { "Nats-Rollup": "sub", "Nats-Expected-Last-Subject-Sequence": String(newest.sequence) },
      behind === undefined ? NO_HEADERS : { "Nats-Expected-Last-Msg-Id": behind },
    );
    return publish(call, subject, body, headers, true).then(({ seq, duplicate }) => {
      // The chunk before it was not confirmed by a reply of its own.
      if (!duplicate) this.#memory.ownSequences.stored(seq, behind ? 2 : 1);
      this.#stored(call.session, info, seq, newest);
      this.#orphans.confirmed();
    }, (error) => {
      // What was sent twice may have been refused because its first sending is stored.
      if (!(error instanceof Unavailable) && !mayBeStored(call, subject)) throw error;
      info.isUnconfirmed = true;
      if (newest.nuid && newest.nuid !== info.nuid) {
        info.replaced = newest;
        this.#orphans.removeLater({ nuid: newest.nuid, mayBeNamed: true });
      }
      throw error;
    });
  }

  /**
   * Stores two infos as one, each in place of the message of that sequence. The first one names the chunks of another info from now on, so nothing is
   * remembered of them, nor that their sequences are this process's own.
   */
  async move(call: Call, infos: { subject: string; body: string; after: number }[]): Promise<void> {
    const messages = infos.map(({ subject, body, after }) => ({
      subject,
      payload: body,
      headers: [{ "Nats-Rollup": "sub", "Nats-Expected-Last-Subject-Sequence": String(after) }],
    }));
    const { config } = this.#stream;
    const { seq } = await publishBatch(call, this.#stream.name, () => messages).catch((error) => {
      throw this.#stream.refused(error, config);
    });
    infos.forEach(({ subject }, i) => {
      this.#stream.known.wrote(call.session, subject, seq - infos.length + 1 + i);
      this.#memory.infos.delete(subject);
    });
    this.#orphans.confirmed();
  }

  /** Forgets all: the stream has gone. */
  forget(): void {
    this.#memory.infos.clear();
    this.#memory.ownSequences.clear();
  }

  /** An info is stored, and the chunks of the one that it replaced are orphaned. */
  #stored(session: Session, { subject, nuid }: NewInfo, sequence: number, replaced: Newest): void {
    this.#stream.known.wrote(session, subject, sequence);
    const { infos, ownSequences } = this.#memory;
    const known = infos.get(subject);
    infos.delete(subject);
    const since = known?.sequence === replaced.sequence && known.nuid === replaced.nuid ? known.since : 0;
    const isUpdate = nuid !== undefined && nuid === replaced.nuid;
    const until = performance.now() + this.#stream.ttl;
    infos.set(subject, { sequence, nuid, since: isUpdate ? since : sequence, until });
    if (infos.size > MAX_INFOS) infos.delete(infos.keys().next().value!);
    // A version of this process can be named by another info only after its own is stored, so not without another write since.
    const exclusive = ownSequences.covers(since, sequence);
    if (replaced.nuid && !isUpdate) this.#orphans.remove({ nuid: replaced.nuid, mayBeNamed: !exclusive });
    // A client that does not guard its writes may have replaced the known one without removing its chunks.
    if (known?.nuid && known.nuid !== replaced.nuid && known.nuid !== nuid) {
      this.#orphans.remove({ nuid: known.nuid, mayBeNamed: true });
    }
  }
}

/** Whether a guard did not hold: another write was stored in between. */
export function isRefusedByOthers(error: unknown): boolean {
  const { wrongLastSequence, wrongLastSequenceUnknown, wrongLastMessageId } = ErrorCode;
  return isServerError(error, wrongLastSequence, wrongLastSequenceUnknown, wrongLastMessageId);
}
