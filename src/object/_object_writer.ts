import type { Call } from "../wire/call.ts";
import { nuid as nuids } from "@nats-io/nats-core";
import { isNoResponders, Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { OrphanedChunks } from "./_orphaned_chunks.ts";
import { ChunkMemory, dataChunks, sourceChunks } from "./format/object_data.ts";
import { digestOf } from "./format/object_digest.ts";
import { isoText } from "./format/iso_text.ts";
import type { ObjectMeta } from "./format/object_meta.ts";
import { storedHeaders } from "./format/stored_headers.ts";
import { type Deletion, type InfoChange, InfoChanges } from "./_info_changes.ts";
import { type ObjectInfo, objectInfo, type ObjectLink } from "./format/object_info.ts";
import { ObjectMemory } from "./_object_memory.ts";
import type { ObjectUpdate, PutOptions } from "./object_options.ts";
import type { ObjectReader } from "./_object_reader.ts";
import { isRefusedByOthers, type NewInfo, ObjectInfos } from "./_object_infos.ts";
import type { ObjectStream } from "./_object_stream.ts";
import { Upload } from "./_upload.ts";

/** Bytes of the server's `max_payload` that the headers of a chunk may take. */
const MAX_HEADER_BYTES = 128;

/** An object to be stored. */
export interface NewObject {
  name: string;
  options: PutOptions;
  /** Bytes of a chunk. */
  chunkSize: number;
}

/** Writes the objects of one bucket. */
export class ObjectWriter {
  readonly #stream: ObjectStream;
  readonly #memory: ObjectMemory;
  readonly #orphans: OrphanedChunks;
  readonly #infos: ObjectInfos;
  readonly #changes: InfoChanges;

  constructor(stream: ObjectStream, reader: ObjectReader) {
    this.#stream = stream;
    this.#memory = stream.context.shared.of(ObjectMemory, stream.name);
    this.#orphans = new OrphanedChunks(stream, this.#memory);
    this.#infos = new ObjectInfos(stream, this.#orphans, this.#memory);
    this.#changes = new InfoChanges(stream, reader, this.#infos, this.#orphans);
  }

  /** Stores an object. */
  put(call: Call, object: NewObject, data: Uint8Array): Promise<ObjectInfo> {
    const size = chunkSizeOf(call.session, object);
    return this.#explained(
      data.length > size
        ? this.#putLarge(object, dataChunks(data, size), () => call)
        : this.#putSmall(call, object, data),
    );
  }

  /** Stores an object whose bytes a source gives, which is read to its end or cancelled; `null` if it is not confirmed. */
  async putStream(
    object: NewObject,
    source: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo | null> {
    let begun = false;
    try {
      signal?.throwIfAborted();
      return await this.#stream.observe("putStream", async (call) => {
        await this.#stream.open(call);
        begun = true;
        return await this.#putFrom(call, object, source, signal);
        // What the source gave has gone.
      }, { repeatable: () => !begun });
    } finally {
      // The error of a source that fails as it is cancelled is of no use.
      if (!begun) source.cancel(signal?.reason).catch(() => {});
    }
  }

  #putFrom(
    call: Call,
    object: NewObject,
    source: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo> {
    // A source that gives nothing must not hold up the call once the connection is lost, or a chunk is refused or unconfirmed.
    const failing = new AbortController();
    const over = AbortSignal.any([...(signal ? [signal] : []), call.session.signal, failing.signal]);
    const memory = new ChunkMemory(chunkSizeOf(call.session, object));
    const chunks = sourceChunks(source, memory, over);
    const present = () => call.until(performance.now() + this.#stream.context.timeout);
    const events = {
      stored: (chunk: Uint8Array) => memory.give(chunk),
      failed: (reason: unknown) => failing.abort(reason),
    };
    return this.#explained(this.#putLarge(object, chunks, present, events));
  }

  /** Marks an object as deleted; `false` if there is none. */
  delete(call: Call, deletion: Deletion): Promise<boolean> {
    return this.#explained(this.#changes.delete(call, deletion));
  }

  /** {@linkcode InfoChanges.update}. */
  update(call: Call, change: InfoChange, given: ObjectUpdate): Promise<ObjectInfo | false | null> {
    return this.#explained(this.#changes.update(call, change, given));
  }

  /** Stores a link in place of a link or of nothing; `false` if an object has this name. */
  link(call: Call, change: InfoChange, link: ObjectLink): Promise<ObjectInfo | false> {
    return this.#explained(this.#changes.link(call, change, link));
  }

  /** The stream has gone. */
  forget(): void {
    this.#stream.forget();
    this.#infos.forget();
  }

  async #putSmall(call: Call, object: NewObject, data: Uint8Array): Promise<ObjectInfo> {
    if (!this.#stream.config) await this.#stream.open(call);
    const nuid = nuids.next();
    const chunks = data.length > 0 ? 1 : 0;
    const mtime = new Date();
    const meta = this.#meta(object, { nuid, size: data.length, chunks, digest: digestOf(data) }, mtime);
    const info: NewInfo = { subject: this.#stream.infoSubject(object.name), nuid, body: JSON.stringify(meta) };
    await this.#infos.inTurn(info.subject, call.deadline, async () => {
      try {
        if (chunks === 0) await this.#infos.replace(call, info);
        else await this.#storeTogether(call, nuid, data, info);
      } catch (error) {
        await this.#abandon(call, nuid, info.isUnconfirmed === true || error instanceof Unavailable);
        throw error;
      }
    });
    return objectInfo(meta, mtime);
  }

  /**
   * Stores the only chunk and, where the info to be replaced is known, the new info right behind it, which the server refuses if the chunk is not the
   * last message: so its acknowledgement confirms both. Not where the stream may have replicas: servers from 2.14 stop such a stream for good, on all
   * replicas, when the last message is not the expected one.
   */
  async #storeTogether(
    call: Call,
    nuid: string,
    data: Uint8Array,
    info: NewInfo,
  ): Promise<void> {
    const chunks = this.#stream.chunkSubject(nuid);
    const headers = new HeaderBlock({ "Nats-Msg-Id": nuid });
    let newest = this.#infos.known(info.subject);
    if (newest && call.session.requests.alone && this.#stream.config?.num_replicas === 1) {
      call.session.send(chunks, data, { headers });
      try {
        return await this.#infos.store(call, info, newest, nuid);
      } catch (error) {
        if (!isRefusedByOthers(error)) throw error;
        // A stored chunk is recognised as a duplicate; the reason for which one is refused is the one to report.
        await this.#storeChunk(call, chunks, data, headers);
        if (!isServerError(error, ErrorCode.wrongLastMessageId)) {
          newest = await this.#infos.look(call, info.subject);
        }
      }
    } else {
      const looking = Promise.resolve(newest ?? this.#infos.look(call, info.subject));
      looking.catch(() => {});
      await this.#storeChunk(call, chunks, data, headers);
      newest = await looking;
    }
    await this.#infos.replace(call, info, newest);
  }

  async #storeChunk(
    call: Call,
    subject: string,
    data: Uint8Array,
    headers: HeaderBlock,
  ): Promise<void> {
    const { seq, duplicate } = await publish(call, subject, data, headers, true);
    if (!duplicate) this.#memory.ownSequences.stored(seq);
  }

  /**
   * Stores chunks, and once all are confirmed the info.
   *
   * @param present Gives the call with the deadline of what is sent now.
   * @param events What becomes of the chunks.
   */
  async #putLarge(
    object: NewObject,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    present: () => Call,
    events: { stored?: (chunk: Uint8Array) => void; failed?: (reason: unknown) => void } = {},
  ): Promise<ObjectInfo> {
    if (!this.#stream.config) await this.#stream.open(present());
    const nuid = nuids.next();
    const subject = this.#stream.infoSubject(object.name);
    const upload = new Upload(
      present,
      this.#stream,
      nuid,
      (sequence, chunk) => {
        this.#memory.ownSequences.stored(sequence);
        events.stored?.(chunk);
      },
      events.failed,
    );
    let info: NewInfo | undefined;
    try {
      for await (const chunk of chunks) await upload.add(chunk);
      const digest = await upload.end();
      const mtime = new Date();
      const meta = this.#meta(object, { nuid, size: upload.size, chunks: upload.chunks, digest }, mtime);
      const stored: NewInfo = info = { subject, nuid, body: JSON.stringify(meta) };
      const call = present();
      await this.#infos.inTurn(subject, call.deadline, () => this.#infos.replace(call, stored));
      return objectInfo(meta, mtime);
    } catch (error) {
      await upload.settled();
      // The refusal of a later attempt does not show whether an unconfirmed one is stored.
      const isUnconfirmed = upload.unanswered || info?.isUnconfirmed || error instanceof Unavailable;
      if (upload.chunks > 0) await this.#abandon(present(), nuid, isUnconfirmed);
      throw error;
    }
  }

  /** Removes the chunks of a failed write. After an unconfirmed one only later infos show whether they belong to an object. */
  async #abandon(call: Call, nuid: string, isUnconfirmed: boolean): Promise<void> {
    if (isUnconfirmed) this.#orphans.removeLater({ nuid, replacedBy: 0 });
    else await this.#orphans.removeNow(call, nuid);
  }

  #meta(
    { name, options, chunkSize }: NewObject,
    content: { nuid: string; size: number; chunks: number; digest: string },
    mtime: Date,
  ): ObjectMeta {
    const { description, headers, metadata } = options;
    const { nuid, size, chunks, digest } = content;
    // What is undefined JSON leaves out.
    return {
      name,
      description: description || undefined,
      headers: headers && storedHeaders(headers),
      metadata,
      options: { max_chunk_size: chunkSize },
      bucket: this.#stream.bucket,
      nuid,
      size,
      chunks,
      digest,
      mtime: isoText(mtime),
    };
  }

  /** Explains in terms of the bucket why a write failed. */
  async #explained<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      if (isNoResponders(error)) this.forget();
      if (!isServerError(error, ErrorCode.streamSealed)) throw error;
      const message = `${this.#stream.what} is sealed: it takes no more changes. Use another bucket`;
      throw new JetStreamStoreError("server", message, { cause: error, serverCode: error.serverCode });
    }
  }
}

function chunkSizeOf(session: Session, { chunkSize }: NewObject): number {
  return Math.min(chunkSize, session.maxPayload - MAX_HEADER_BYTES);
}
