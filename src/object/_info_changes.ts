import { nuid as nuids } from "@nats-io/nats-core";
import type { Call } from "../wire/call.ts";
import { mayBeStored } from "../wire/publish.ts";
import type { ObjectMeta, StoredMeta } from "./format/object_meta.ts";
import { isoText } from "./format/iso_text.ts";
import { storedHeaders } from "./format/stored_headers.ts";
import { type ObjectInfo, objectInfo, type ObjectLink } from "./format/object_info.ts";
import { isRefusedByOthers, type ObjectInfos } from "./_object_infos.ts";
import type { ObjectUpdate } from "./object_options.ts";
import type { ObjectReader } from "./_object_reader.ts";
import type { ObjectStream } from "./_object_stream.ts";
import type { OrphanedChunks } from "./_orphaned_chunks.ts";

/** A change of one info, over all attempts of a call. */
export class InfoChange {
  readonly name: string;
  readonly nuid: string = nuids.next();
  readonly mtime: Date = new Date();
  /** What the last attempt has sent. */
  #sent: { body: string; subject: string; found: number } | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /**
   * Notes what is sent; returns it.
   *
   * @param subject The subject on which it is, or on which the last message of its batch is.
   * @param found The newest info that this attempt has found.
   */
  send(meta: ObjectMeta, subject: string, found: StoredMeta | null): string {
    this.#sent = { body: JSON.stringify(meta), subject, found: sequenceOf(found) };
    return this.#sent.body;
  }

  /** Whether an info is what an attempt has sent. */
  isSent({ message }: StoredMeta): boolean {
    return decoder.decode(message.data) === this.#sent?.body;
  }

  /** Whether an unconfirmed attempt may be stored, and another info was since: one more attempt could change what is not meant. */
  isOvertaken(call: Call, stored: StoredMeta | null): boolean {
    if (this.#sent === null || !mayBeStored(call, this.#sent.subject)) return false;
    return sequenceOf(stored) !== this.#sent.found;
  }
}

function sequenceOf(stored: StoredMeta | null): number {
  return stored?.message.sequence ?? 0;
}

const decoder = new TextDecoder();

/** An info with the changes of an update. */
function updated({ message: _, ...meta }: StoredMeta, change: InfoChange, given: ObjectUpdate): ObjectMeta {
  const { description = meta.description, headers, metadata = meta.metadata } = given;
  return {
    ...meta,
    description: description || undefined,
    headers: headers === undefined ? meta.headers : headers && storedHeaders(headers),
    metadata,
    mtime: isoText(change.mtime),
  };
}

/** The mark of a name whose object has another name now. Some clients remove the chunks of the version that a mark names, so this has one of its own. */
function markOf({ name, nuid }: InfoChange, { bucket, mtime }: ObjectMeta): ObjectMeta {
  return { name, bucket, nuid, size: 0, mtime, chunks: 0, digest: "", deleted: true };
}

/** Changes the infos of one bucket and leaves chunks as they are, each time guarded by the sequence of the info that it has read from the leader. */
export class InfoChanges {
  readonly #stream: ObjectStream;
  readonly #reader: ObjectReader;
  readonly #infos: ObjectInfos;
  readonly #orphans: OrphanedChunks;

  constructor(stream: ObjectStream, reader: ObjectReader, infos: ObjectInfos, orphans: OrphanedChunks) {
    this.#stream = stream;
    this.#reader = reader;
    this.#infos = infos;
    this.#orphans = orphans;
  }

  /** Changes what is stored along with an object, or a link; `false` if there is none, or another one has its new name. */
  update(call: Call, change: InfoChange, given: ObjectUpdate): Promise<ObjectInfo | false | null> {
    if (given.name !== undefined && given.name !== change.name) return this.#rename(call, change, given, given.name);
    return this.#change(call, change, (stored) => stored && !stored.deleted ? updated(stored, change, given) : null);
  }

  /** Stores the info under another name and marks the old name as deleted, both or neither. Chunks have no names. */
  async #rename(call: Call, change: InfoChange, given: ObjectUpdate, name: string): Promise<ObjectInfo | false | null> {
    for (;;) {
      const [stored, present] = await Promise.all([
        this.#reader.find(call, change.name, true),
        this.#reader.find(call, name, true),
      ]);
      if (present && change.isSent(present)) return objectInfo(present, change.mtime);
      if (change.isOvertaken(call, stored)) return null;
      if (!stored || stored.deleted || present && !present.deleted) return false;
      if (this.#stream.isMirror) await this.#stream.isWritable(call);
      await this.#stream.openWithBatches(call, "The rename of an object");
      const meta = { ...updated(stored, change, given), name };
      const mark = markOf(change, meta);
      const subject = this.#stream.infoSubject(name);
      const isSame = present?.message.subject === subject;
      try {
        const infos = [
          {
            subject,
            body: change.send(meta, stored.message.subject, stored),
            after: isSame ? present.message.sequence : 0,
          },
          { subject: stored.message.subject, body: JSON.stringify(mark), after: stored.message.sequence },
        ];
        await this.#infos.move(call, infos);
        return objectInfo(meta, change.mtime);
      } catch (error) {
        if (!isRefusedByOthers(error)) throw error;
      }
    }
  }

  /** Stores a link in place of a link or of nothing; `false` if an object has this name. */
  async link(call: Call, change: InfoChange, link: ObjectLink): Promise<ObjectInfo | false | null> {
    if (!this.#stream.config) await this.#stream.open(call);
    return await this.#change(call, change, (stored) => {
      if (stored && !stored.deleted && !stored.options?.link) return null;
      return {
        name: change.name,
        options: { link },
        bucket: this.#stream.bucket,
        nuid: change.nuid,
        size: 0,
        mtime: isoText(change.mtime),
        chunks: 0,
      };
    });
  }

  /** Marks an object, or a link, as deleted; `false` if there is none. */
  async delete(call: Call, change: InfoChange): Promise<boolean | null> {
    const deleted = await this.#change(call, change, (stored) => {
      if (!stored || stored.deleted) return null;
      const { message: _, ...meta } = stored;
      return { ...meta, size: 0, chunks: 0, digest: "", deleted: true, mtime: isoText(change.mtime) };
    });
    return deleted && true;
  }

  /**
   * Stores a new info in place of the newest one; `null` if an unconfirmed one may be stored that others have replaced.
   *
   * @param make Makes it of the newest one; `null`: nothing is to be stored, which is `false`.
   */
  #change(
    call: Call,
    change: InfoChange,
    make: (stored: StoredMeta | null) => ObjectMeta | null,
  ): Promise<ObjectInfo | false | null> {
    const own = this.#stream.infoSubject(change.name);
    return this.#infos.inTurn(own, call.deadline, async () => {
      for (;;) {
        const stored = await this.#reader.find(call, change.name, true);
        if (stored && change.isSent(stored)) {
          if (stored.deleted) this.#orphans.remove({ nuid: stored.nuid, mayBeNamed: true });
          return objectInfo(stored, change.mtime);
        }
        if (change.isOvertaken(call, stored)) return null;
        const meta = make(stored);
        if (meta === null) return false;
        if (this.#stream.isMirror) await this.#stream.isWritable(call);
        // Another client may have spelled the name of an updated object in another way.
        const isUpdate = stored?.nuid === meta.nuid;
        const subject = isUpdate ? stored.message.subject : own;
        const replaced = stored?.message.subject === subject ? stored : null;
        const newest = {
          sequence: replaced?.message.sequence ?? 0,
          nuid: replaced?.deleted ? undefined : replaced?.nuid,
        };
        const info = { subject, nuid: meta.deleted ? undefined : meta.nuid, body: change.send(meta, subject, stored) };
        try {
          await this.#infos.store(call, info, newest);
          return objectInfo(meta, change.mtime);
        } catch (error) {
          if (!isRefusedByOthers(error)) throw error;
        }
      }
    });
  }
}
