import type { Call } from "../wire/call.ts";
import { nuid as nuids } from "@nats-io/nats-core";
import { isNoResponders, Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { rejecting } from "../rejecting.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { OrphanedChunks } from "./_orphaned_chunks.ts";
import { ChunkMemory, dataChunks, sourceChunks } from "./format/object_data.ts";
import { digestOf } from "./format/object_digest.ts";
import { isoText } from "./format/iso_text.ts";
import type { ObjectMeta } from "./format/object_meta.ts";
import { storedHeaders } from "./format/stored_headers.ts";
import { type InfoChange, InfoChanges } from "./_info_changes.ts";
import { type ObjectInfo, objectInfo, type ObjectLink } from "./format/object_info.ts";
import { type Newest, ObjectMemory } from "./_object_memory.ts";
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
    const put = data.length > size
      ? this.#putLarge(object, dataChunks(data, size), () => call)
      : this.#putSmall(call, object, data);
    return put.catch(this.#explain);
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
    return this.#putLarge(object, chunks, present, events).catch(this.#explain);
  }

  /** Marks an object as deleted; `false` if there is none. */
  delete(call: Call, change: InfoChange): Promise<boolean | null> {
    return this.#changes.delete(call, change).catch(this.#explain);
  }

  /** {@linkcode InfoChanges.update}. */
  update(call: Call, change: InfoChange, given: ObjectUpdate): Promise<ObjectInfo | false | null> {
    return this.#changes.update(call, change, given).catch(this.#explain);
  }

  /** Stores a link in place of a link or of nothing; `false` if an object has this name. */
  link(call: Call, change: InfoChange, link: ObjectLink): Promise<ObjectInfo | false | null> {
    return this.#changes.link(call, change, link).catch(this.#explain);
  }

  /** The stream has gone. */
  forget(): void {
    this.#stream.forget();
    this.#infos.forget();
  }

  #putSmall(call: Call, object: NewObject, data: Uint8Array): Promise<ObjectInfo> {
    if (!this.#stream.config) return this.#stream.open(call).then(() => this.#putSmall(call, object, data));
    const nuid = nuids.next();
    const mtime = new Date();
    const content = { nuid, size: data.length, chunks: Math.min(data.length, 1), digest: digestOf(data) };
    const meta = this.#meta(object, content, mtime);
    const info: NewInfo = { subject: this.#stream.infoSubject(object.name), nuid, body: JSON.stringify(meta) };
    const store = () => this.#storeSmall(call, nuid, data, info);
    return this.#infos.inTurn(info.subject, call.deadline, store).then(() => objectInfo(meta, mtime));
  }

  /** Stores an object of one chunk or none; if that fails, its chunk is removed. */
  #storeSmall(call: Call, nuid: string, data: Uint8Array, info: NewInfo): Promise<void> {
    const { subject } = info;
    const known = this.#infos.known(subject);
    const { alone } = call.session.requests;
    return rejecting(() => {
      if (data.length === 0) return this.#infos.replace(call, info);
      return known && alone && this.#stream.config?.num_replicas === 1
        ? this.#storeTogether(call, nuid, data, info, known)
        : this.#storeInTurn(call, nuid, data, info, known);
    }).catch(async (error) => {
      await this.#abandon(call, nuid, info.isUnconfirmed === true || error instanceof Unavailable);
      throw error;
    });
  }

  /**
   * Stores the only chunk and the new info right behind it, which the server refuses if the chunk is not the last message: so its acknowledgement
   * confirms both. Not where the stream may have replicas: servers from 2.14 stop such a stream for good, on all replicas, when the last message is
   * not the expected one.
   */
  #storeTogether(call: Call, nuid: string, data: Uint8Array, info: NewInfo, newest: Newest): Promise<void> {
    call.session.send(this.#stream.chunkSubject(nuid), data, { headers: chunkHeaders(nuid) });
    return this.#infos.store(call, info, newest, nuid).catch(async (error) => {
      if (!isRefusedByOthers(error)) throw error;
      // A stored chunk is recognised as a duplicate; the reason for which one is refused is the one to report.
      await this.#storeChunk(call, nuid, data);
      const isChunk = isServerError(error, ErrorCode.wrongLastMessageId);
      await this.#infos.replace(call, info, isChunk ? newest : await this.#infos.look(call, info.subject));
    });
  }

  /** Stores the only chunk, and once it is confirmed the info. */
  async #storeInTurn(call: Call, nuid: string, data: Uint8Array, info: NewInfo, known?: Newest): Promise<void> {
    const looking = Promise.resolve(known ?? this.#infos.look(call, info.subject));
    looking.catch(() => {});
    await this.#storeChunk(call, nuid, data);
    await this.#infos.replace(call, info, await looking);
  }

  async #storeChunk(call: Call, nuid: string, data: Uint8Array): Promise<void> {
    const { seq, duplicate } = await publish(call, this.#stream.chunkSubject(nuid), data, chunkHeaders(nuid), true);
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
    if (isUnconfirmed) this.#orphans.removeLater({ nuid, mayBeNamed: true });
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
  readonly #explain = (error: unknown): never => {
    if (isNoResponders(error)) this.forget();
    if (!isServerError(error, ErrorCode.streamSealed)) throw error;
    const message = `${this.#stream.what} is sealed: it takes no more changes. Use another bucket`;
    throw new JetStreamStoreError("server", message, { cause: error, serverCode: error.serverCode });
  };
}

/** A chunk that is sent again is recognised by its message id. */
function chunkHeaders(nuid: string): HeaderBlock {
  return new HeaderBlock({ "Nats-Msg-Id": nuid });
}

function chunkSizeOf(session: Session, { chunkSize }: NewObject): number {
  return Math.min(chunkSize, session.maxPayload - MAX_HEADER_BYTES);
}
