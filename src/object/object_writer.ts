import type { Call } from "../wire/call.ts";
import { nuid as nuids } from "@nats-io/nats-core";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { Leftovers } from "./leftovers.ts";
import { dataPieces, sourcePieces } from "./object_data.ts";
import { digestOf } from "./object_digest.ts";
import { type ObjectInfo, objectInfo } from "./object_info.ts";
import type { ObjectMeta, StoredMeta } from "./object_meta.ts";
import { ObjectMemory } from "./object_memory.ts";
import type { PutOptions } from "./object_options.ts";
import type { ObjectReader } from "./object_reader.ts";
import { isOutrun, type NewRecord, ObjectRecords } from "./object_records.ts";
import type { ObjectStream } from "./object_stream.ts";
import { Upload } from "./upload.ts";

/** Bytes of the server's `max_payload` that the headers of a piece may take. */
const HEADERS = 128;

/** An object to be stored. */
export interface NewObject {
  name: string;
  options: PutOptions;
  /** Bytes of a piece. */
  chunkSize: number;
}

/** A deletion. */
export interface Deletion {
  name: string;
  /** The version that a try that nobody has answered has marked, perhaps. */
  nuid?: string;
}

/** Writes the objects of one bucket. */
export class ObjectWriter {
  readonly #stream: ObjectStream;
  readonly #reader: ObjectReader;
  readonly #memory: ObjectMemory;
  readonly #leftovers: Leftovers;
  readonly #records: ObjectRecords;

  constructor(stream: ObjectStream, reader: ObjectReader) {
    this.#stream = stream;
    this.#reader = reader;
    this.#memory = stream.context.shared.of(ObjectMemory, stream.name);
    this.#leftovers = new Leftovers(stream, this.#memory);
    this.#records = new ObjectRecords(stream, this.#leftovers, this.#memory);
  }

  /** Stores an object. */
  put(call: Call, object: NewObject, data: Uint8Array): Promise<ObjectInfo> {
    const size = pieceSize(call.session, object);
    return this.#explained(
      data.length > size
        ? this.#putLarge(object, dataPieces(data, size), () => call)
        : this.#putSmall(call, object, data),
    );
  }

  /** Stores an object whose bytes a source gives. */
  putFrom(
    call: Call,
    object: NewObject,
    source: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo> {
    // A source that gives nothing must not keep the call once the connection is lost, or a piece is refused or not confirmed.
    const failing = new AbortController();
    const over = AbortSignal.any([...(signal ? [signal] : []), call.session.signal, failing.signal]);
    const pieces = sourcePieces(source, pieceSize(call.session, object), over);
    const present = () => call.until(performance.now() + this.#stream.context.timeout);
    return this.#explained(this.#putLarge(object, pieces, present, (reason) => failing.abort(reason)));
  }

  /** Marks an object as deleted; `false` if there is none. */
  delete(call: Call, deletion: Deletion): Promise<boolean> {
    return this.#explained(this.#delete(call, deletion));
  }

  /** The stream has gone. */
  forget(): void {
    this.#stream.forget();
    this.#records.forget();
  }

  async #delete(call: Call, deletion: Deletion): Promise<boolean> {
    const find = () => this.#reader.find(call, deletion.name, true);
    const first = await find();
    if (!first) return false;
    if (this.#stream.isMirror) await this.#stream.isWritable(call);
    return await this.#records.inTurn(first.message.subject, call.deadline, async () => {
      for (let meta: StoredMeta | null = first; meta; meta = await find()) {
        const { message: { subject, sequence }, ...record } = meta;
        const { nuid } = record;
        if (record.deleted) {
          if (!nuid || nuid !== deletion.nuid) return false;
          this.#leftovers.remove({ nuid, replacedBy: sequence });
          return true;
        }
        const mtime = isoText(new Date());
        const body = JSON.stringify({ ...record, size: 0, chunks: 0, digest: "", deleted: true, mtime });
        const marker: NewRecord = { subject, body };
        try {
          await this.#records.store(call, marker, { sequence, nuid });
          return true;
        } catch (error) {
          if (marker.unsure) deletion.nuid = nuid;
          if (!isOutrun(error)) throw error;
        }
      }
      return false;
    });
  }

  async #putSmall(call: Call, object: NewObject, data: Uint8Array): Promise<ObjectInfo> {
    if (!this.#stream.config) await this.#stream.open(call);
    const nuid = nuids.next();
    const chunks = data.length > 0 ? 1 : 0;
    const mtime = new Date();
    const meta = this.#meta(object, { nuid, size: data.length, chunks, digest: digestOf(data) }, mtime);
    const record: NewRecord = { subject: this.#stream.record(object.name), nuid, body: JSON.stringify(meta) };
    await this.#records.inTurn(record.subject, call.deadline, async () => {
      try {
        if (chunks === 0) await this.#records.replace(call, record);
        else await this.#storeTogether(call, nuid, data, record);
      } catch (error) {
        await this.#abandon(call, nuid, record.unsure === true || error instanceof Unavailable);
        throw error;
      }
    });
    return objectInfo(meta, mtime);
  }

  /**
   * Stores the only piece, and where the record to be replaced is known the new one right behind: it is refused if the piece is, so its
   * confirmation speaks for both. Not where the stream may have replicas: servers from 2.14 on give such a stream up for good, on all replicas, when
   * the last message is not the expected one, as they look only while they apply what they have agreed upon.
   */
  async #storeTogether(
    call: Call,
    nuid: string,
    data: Uint8Array,
    record: NewRecord,
  ): Promise<void> {
    const pieces = this.#stream.pieces(nuid);
    const headers = new HeaderBlock({ "Nats-Msg-Id": nuid });
    let newest = this.#records.known(record.subject);
    if (newest && call.session.requests.alone && this.#stream.config?.num_replicas === 1) {
      call.session.send(pieces, data, { headers });
      try {
        return await this.#records.store(call, record, newest, nuid);
      } catch (error) {
        if (!isOutrun(error)) throw error;
        // If the piece is there, this is its duplicate; if it was refused, the reason tells more than that the record was.
        await this.#storePiece(call, pieces, data, headers);
        if (!isServerError(error, ErrorCode.wrongLastMessageId)) {
          newest = await this.#records.look(call, record.subject);
        }
      }
    } else {
      const looking = Promise.resolve(newest ?? this.#records.look(call, record.subject));
      looking.catch(() => {});
      await this.#storePiece(call, pieces, data, headers);
      newest = await looking;
    }
    await this.#records.replace(call, record, newest);
  }

  async #storePiece(
    call: Call,
    subject: string,
    data: Uint8Array,
    headers: HeaderBlock,
  ): Promise<void> {
    const { seq, duplicate } = await publish(call, subject, data, headers, true);
    if (!duplicate) this.#memory.run.stored(seq);
  }

  /**
   * Stores pieces, and once all are confirmed the record.
   *
   * @param present Gives the call with the deadline of what is sent now.
   */
  async #putLarge(
    object: NewObject,
    pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    present: () => Call,
    failed?: (reason: unknown) => void,
  ): Promise<ObjectInfo> {
    if (!this.#stream.config) await this.#stream.open(present());
    const nuid = nuids.next();
    const subject = this.#stream.record(object.name);
    const upload = new Upload(
      present,
      this.#stream,
      nuid,
      (sequence) => this.#memory.run.stored(sequence),
      failed,
    );
    let record: NewRecord | undefined;
    try {
      for await (const piece of pieces) await upload.add(piece);
      const digest = await upload.end();
      const mtime = new Date();
      const meta = this.#meta(object, { nuid, size: upload.size, chunks: upload.chunks, digest }, mtime);
      const stored: NewRecord = record = { subject, nuid, body: JSON.stringify(meta) };
      const call = present();
      await this.#records.inTurn(subject, call.deadline, () => this.#records.replace(call, stored));
      return objectInfo(meta, mtime);
    } catch (error) {
      await upload.settled();
      // What refuses a later try says nothing of one that nobody has answered.
      const unsure = upload.unanswered || record?.unsure || error instanceof Unavailable;
      if (upload.chunks > 0) await this.#abandon(present(), nuid, unsure);
      throw error;
    }
  }

  /** Removes what a failed write has stored; where it is unsure what that is, only the infos will tell whether the pieces are an object. */
  async #abandon(call: Call, nuid: string, unsure: boolean): Promise<void> {
    if (unsure) this.#leftovers.removeLater({ nuid, replacedBy: 0 });
    else await this.#leftovers.removeNow(call, nuid);
  }

  #meta(
    { name, options, chunkSize }: NewObject,
    content: { nuid: string; size: number; chunks: number; digest: string },
    mtime: Date,
  ): ObjectMeta {
    const { description, headers, metadata } = options;
    const { nuid, size, chunks, digest } = content;
    const lists = headers &&
      Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [values].flat()]));
    // What is undefined JSON leaves out.
    return {
      name,
      description: description || undefined,
      headers: lists,
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

  /** What a write meets, in the words of a bucket. */
  async #explained<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      if (error instanceof Unavailable && error.reason === "no_responders") this.forget();
      if (!isServerError(error, ErrorCode.streamSealed)) throw error;
      const message = `${this.#stream.what} is sealed: it takes no more changes. Use another bucket`;
      throw new JetStreamStoreError("server", message, { cause: error, serverCode: error.serverCode });
    }
  }
}

function pieceSize(session: Session, { chunkSize }: NewObject): number {
  return Math.min(chunkSize, session.maxPayload - HEADERS);
}

let written = { time: NaN, text: "" };

/** A moment as ADR-20 has it. Many objects are stored within one millisecond, and to write it costs as much as a tenth of the rest. */
function isoText(date: Date): string {
  const time = date.getTime();
  if (time !== written.time) written = { time, text: date.toISOString() };
  return written.text;
}
