import type { Call } from "../wire/call.ts";
import { settledWithin } from "../delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { mayBeStored, publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import type { Leftovers } from "./leftovers.ts";
import { versionOf } from "./object_meta.ts";
import type { Newest, ObjectMemory } from "./object_memory.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Records whose place is remembered. */
const REMEMBERED = 10_000;

/** A record to be stored. */
export interface NewRecord {
  subject: string;
  /** Whose pieces it makes an object; those of one that marks a deletion, nobody's. */
  nuid?: string;
  body: string;
  /** Whether a try to store it was not answered: it may be stored. */
  unsure?: boolean;
  /** What that try has replaced, perhaps. */
  replaced?: Newest;
}

/** There is no record. */
const NONE: Newest = { sequence: 0 };

/**
 * Stores the records that make pieces an object, each guarded by the sequence of the one it replaces: so every writer knows whose pieces are left
 * over by it, and nobody's are forgotten.
 */
export class ObjectRecords {
  readonly #stream: ObjectStream;
  readonly #leftovers: Leftovers;
  readonly #memory: ObjectMemory;
  /** The last write of each record that is under way. */
  readonly #turns: Map<string, Promise<unknown>> = new Map();

  constructor(stream: ObjectStream, leftovers: Leftovers, memory: ObjectMemory) {
    this.#stream = stream;
    this.#memory = memory;
    this.#leftovers = leftovers;
  }

  /** Lets this process write a record only once what it writes there already is done: else it would outrun itself again and again. */
  inTurn<T>(subject: string, deadline: number, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(subject);
    return before ? this.#behind(before, subject, deadline, work) : this.#take(subject, work());
  }

  async #behind<T>(
    before: Promise<unknown>,
    subject: string,
    deadline: number,
    work: () => Promise<T>,
  ): Promise<T> {
    const next = () => {
      if (performance.now() < deadline) return work();
      throw tooLate();
    };
    const mine = this.#take(subject, before.then(next, next));
    // Its turn may come later; it does nothing then.
    await settledWithin(before, deadline - performance.now());
    if (performance.now() >= deadline) throw tooLate();
    return await mine;
  }

  /** This is the last write of the record now. */
  #take<T>(subject: string, write: Promise<T>): Promise<T> {
    const done = () => {
      if (this.#turns.get(subject) === write) this.#turns.delete(subject);
    };
    write.then(done, done);
    this.#turns.set(subject, write);
    return write;
  }

  /** The newest record as far as this process knows. */
  known(subject: string): Newest | undefined {
    const { infos } = this.#memory;
    const known = infos.get(subject);
    if (!known || known.until > performance.now()) return known;
    infos.delete(subject);
    return NONE;
  }

  /** The newest record as the stream's leader knows it. */
  async look(call: Call, subject: string): Promise<Newest> {
    const message = await leaderGet(call, this.#stream.name, { last_by_subj: subject });
    return message ? { sequence: message.sequence, nuid: versionOf(message) } : NONE;
  }

  /** Stores a record in place of whatever is the newest one. May be tried again. */
  async replace(
    call: Call,
    record: NewRecord,
    known: Newest | undefined = this.known(record.subject),
  ): Promise<void> {
    for (let newest = known;; newest = undefined) {
      newest ??= await this.look(call, record.subject);
      if (record.nuid && newest.nuid === record.nuid) {
        return this.#stored(call.session, record, newest.sequence, record.replaced ?? NONE);
      }
      try {
        return await this.store(call, record, newest);
      } catch (error) {
        if (!isOutrun(error)) throw error;
      }
    }
  }

  /**
   * Stores a record in place of the one that is the newest; its pieces are left over then.
   *
   * @param behind Id of the message that must be the last one in the stream.
   * @throws {JetStreamStoreError} If it is not the newest one, see {@linkcode isOutrun}.
   */
  async store(call: Call, record: NewRecord, newest: Newest, behind?: string): Promise<void> {
    const { subject, body } = record;
    const headers = new HeaderBlock({
      "Nats-Rollup": "sub",
      "Nats-Expected-Last-Subject-Sequence": String(newest.sequence),
      ...(behind && { "Nats-Expected-Last-Msg-Id": behind }),
    });
    const { seq, duplicate } = await publish(call, subject, body, headers, true).catch((error) => {
      // What was sent again may have been refused because of itself.
      if (!(error instanceof Unavailable) && !mayBeStored(call, subject)) throw error;
      record.unsure = true;
      if (newest.nuid) {
        record.replaced = newest;
        this.#leftovers.removeLater({ nuid: newest.nuid, replacedBy: newest.sequence });
      }
      throw error;
    });
    // The piece that it stands behind was not confirmed itself.
    if (!duplicate) this.#memory.run.stored(seq, behind ? 2 : 1);
    this.#stored(call.session, record, seq, newest);
    this.#leftovers.confirmed();
  }

  /** Forgets all: the stream has gone. */
  forget(): void {
    this.#memory.infos.clear();
    this.#memory.run.clear();
  }

  /** A record is stored, and the pieces of the one that it has replaced are left over. */
  #stored(session: Session, { subject, nuid }: NewRecord, sequence: number, replaced: Newest): void {
    this.#stream.known.wrote(session, subject, sequence);
    const { infos, run } = this.#memory;
    const known = infos.get(subject);
    infos.delete(subject);
    infos.set(subject, { sequence, nuid, until: performance.now() + this.#stream.ttl });
    if (infos.size > REMEMBERED) infos.delete(infos.keys().next().value!);
    const isOwn = known?.sequence === replaced.sequence && known.nuid === replaced.nuid;
    // Nobody can name a version that was made here before its record is stored, nor since where nobody else has written.
    const exclusive = isOwn && run.covers(replaced.sequence, sequence);
    if (replaced.nuid) this.#leftovers.remove({ nuid: replaced.nuid, ...(!exclusive && { replacedBy: sequence }) });
    // A client that does not guard its writes may have replaced the one that was known, and have left its pieces.
    if (known?.nuid && known.nuid !== replaced.nuid) {
      this.#leftovers.remove({ nuid: known.nuid, replacedBy: sequence });
    }
  }
}

function tooLate(): Unavailable {
  return new Unavailable("timeout", "Other writes of the same object took too long");
}

/** Whether somebody else has stored something in between. */
export function isOutrun(error: unknown): boolean {
  const { wrongLastSequence, wrongLastSequenceUnknown, wrongLastMessageId } = ErrorCode;
  return isServerError(error, wrongLastSequence, wrongLastSequenceUnknown, wrongLastMessageId);
}
