import { nuid as nuids } from "@nats-io/nats-core";
import type { Call } from "../wire/call.ts";
import { mayBeStored } from "../wire/publish.ts";
import type { ObjectMeta, StoredMeta } from "./format/object_meta.ts";
import { isoText } from "./format/iso_text.ts";
import { storedHeaders } from "./format/stored_headers.ts";
import { type ObjectInfo, objectInfo, type ObjectLink } from "./format/object_info.ts";
import { isRefusedByOthers, type NewInfo, type ObjectInfos } from "./_object_infos.ts";
import type { ObjectUpdate } from "./object_options.ts";
import type { ObjectReader } from "./_object_reader.ts";
import type { ObjectStream } from "./_object_stream.ts";
import type { OrphanedChunks } from "./_orphaned_chunks.ts";

/** A deletion. */
export interface Deletion {
  name: string;
  /** The version that an unconfirmed attempt may have marked as deleted. */
  nuid?: string;
}

/** A change of one info, over all attempts of a call. */
export class InfoChange {
  readonly name: string;
  readonly nuid: string = nuids.next();
  readonly mtime: Date = new Date();
  /** What an attempt has sent: it may be stored. */
  sent?: string;

  constructor(name: string) {
    this.name = name;
  }
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
      if (present && decoder.decode(present.message.data) === change.sent) return objectInfo(present, change.mtime);
      if (!stored || stored.deleted || present && !present.deleted) {
        return stored && mayBeStored(call, stored.message.subject) ? null : false;
      }
      if (this.#stream.isMirror) await this.#stream.isWritable(call);
      await this.#stream.openWithBatches(call, "The rename of an object");
      const meta = { ...updated(stored, change, given), name };
      const mark = markOf(change, meta);
      const subject = this.#stream.infoSubject(name);
      const isSame = present?.message.subject === subject;
      try {
        const infos = [
          { subject, body: change.sent = JSON.stringify(meta), after: isSame ? present.message.sequence : 0 },
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
  async link(call: Call, change: InfoChange, link: ObjectLink): Promise<ObjectInfo | false> {
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
  async delete(call: Call, deletion: Deletion): Promise<boolean> {
    const find = () => this.#reader.find(call, deletion.name, true);
    const first = await find();
    if (!first) return false;
    if (this.#stream.isMirror) await this.#stream.isWritable(call);
    return await this.#infos.inTurn(first.message.subject, call.deadline, async () => {
      for (let meta: StoredMeta | null = first; meta; meta = await find()) {
        const { message: { subject, sequence }, ...info } = meta;
        const { nuid } = info;
        if (info.deleted) {
          if (!nuid || nuid !== deletion.nuid) return false;
          this.#orphans.remove({ nuid, mayBeNamed: true });
          return true;
        }
        const mtime = isoText(new Date());
        const body = JSON.stringify({ ...info, size: 0, chunks: 0, digest: "", deleted: true, mtime });
        const marker: NewInfo = { subject, body };
        try {
          await this.#infos.store(call, marker, { sequence, nuid });
          return true;
        } catch (error) {
          if (marker.isUnconfirmed) deletion.nuid = nuid;
          if (!isRefusedByOthers(error)) throw error;
        }
      }
      return false;
    });
  }

  /**
   * Stores a new info in place of the newest one.
   *
   * @param make Makes it of the newest one; `null`: nothing is to be stored.
   */
  #change(
    call: Call,
    change: InfoChange,
    make: (stored: StoredMeta | null) => ObjectMeta | null,
  ): Promise<ObjectInfo | false> {
    const own = this.#stream.infoSubject(change.name);
    return this.#infos.inTurn(own, call.deadline, async () => {
      for (;;) {
        const stored = await this.#reader.find(call, change.name, true);
        if (stored && decoder.decode(stored.message.data) === change.sent) return objectInfo(stored, change.mtime);
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
        change.sent = JSON.stringify(meta);
        try {
          await this.#infos.store(call, { subject, nuid: meta.nuid, body: change.sent }, newest);
          return objectInfo(meta, change.mtime);
        } catch (error) {
          if (!isRefusedByOthers(error)) throw error;
        }
      }
    });
  }
}
