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
  put(session: Session, object: NewObject, data: Uint8Array, deadline: number): Promise<ObjectInfo> {
    const size = pieceSize(session, object);
    return this.#explained(
      data.length > size
        ? this.#putLarge(session, object, dataPieces(data, size), () => deadline)
        : this.#putSmall(session, object, data, deadline),
    );
  }

  /** Stores an object whose bytes a source gives. */
  putFrom(
    session: Session,
    object: NewObject,
    source: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo> {
    // A source that gives nothing must not keep the call once the connection is lost, or a piece is refused or not confirmed.
    const failing = new AbortController();
    const over = AbortSignal.any([...(signal ? [signal] : []), session.signal, failing.signal]);
    const pieces = sourcePieces(source, pieceSize(session, object), over);
    const deadline = () => performance.now() + this.#stream.context.timeout;
    return this.#explained(this.#putLarge(session, object, pieces, deadline, (reason) => failing.abort(reason)));
  }

  /** Marks an object as deleted; `false` if there is none. */
  delete(session: Session, deletion: Deletion, deadline: number): Promise<boolean> {
    return this.#explained(this.#delete(session, deletion, deadline));
  }

  /** The stream has gone. */
  forget(): void {
    this.#stream.forget();
    this.#records.forget();
  }

  async #delete(session: Session, deletion: Deletion, deadline: number): Promise<boolean> {
    const find = () => this.#reader.find(session, deletion.name, deadline, true);
    const first = await find();
    if (!first) return false;
    if (this.#stream.isMirror) await this.#stream.isWritable(session, deadline);
    return await this.#records.inTurn(first.message.subject, deadline, async () => {
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
          await this.#records.store(session, marker, { sequence, nuid }, deadline);
          return true;
        } catch (error) {
          if (marker.unsure) deletion.nuid = nuid;
          if (!isOutrun(error)) throw error;
        }
      }
      return false;
    });
  }

  async #putSmall(session: Session, object: NewObject, data: Uint8Array, deadline: number): Promise<ObjectInfo> {
    if (!this.#stream.config) await this.#stream.open(session, deadline);
    const nuid = nuids.next();
    const chunks = data.length > 0 ? 1 : 0;
    const mtime = new Date();
    const meta = this.#meta(object, { nuid, size: data.length, chunks, digest: digestOf(data) }, mtime);
    const record: NewRecord = { subject: this.#stream.record(object.name), nuid, body: JSON.stringify(meta) };
    await this.#records.inTurn(record.subject, deadline, async () => {
      try {
        if (chunks === 0) await this.#records.replace(session, record, deadline);
        else await this.#storeTogether(session, nuid, data, record, deadline);
      } catch (error) {
        await this.#abandon(session, nuid, record.unsure === true || error instanceof Unavailable, deadline);
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
    session: Session,
    nuid: string,
    data: Uint8Array,
    record: NewRecord,
    deadline: number,
  ): Promise<void> {
    const pieces = this.#stream.pieces(nuid);
    const headers = new HeaderBlock({ "Nats-Msg-Id": nuid });
    let newest = this.#records.known(record.subject);
    if (newest && session.requests.alone && this.#stream.config?.num_replicas === 1) {
      session.send(pieces, data, { headers });
      try {
        return await this.#records.store(session, record, newest, deadline, nuid);
      } catch (error) {
        if (!isOutrun(error)) throw error;
        // If the piece is there, this is its duplicate; if it was refused, the reason tells more than that the record was.
        await this.#storePiece(session, pieces, data, deadline, headers);
        if (!isServerError(error, ErrorCode.wrongLastMessageId)) {
          newest = await this.#records.look(session, record.subject, deadline);
        }
      }
    } else {
      const looking = Promise.resolve(newest ?? this.#records.look(session, record.subject, deadline));
      looking.catch(() => {});
      await this.#storePiece(session, pieces, data, deadline, headers);
      newest = await looking;
    }
    await this.#records.replace(session, record, deadline, newest);
  }

  async #storePiece(
    session: Session,
    subject: string,
    data: Uint8Array,
    deadline: number,
    headers: HeaderBlock,
  ): Promise<void> {
    const { seq, duplicate } = await publish(session, subject, data, deadline, headers, true);
    if (!duplicate) this.#memory.run.stored(seq);
  }

  /** Stores pieces, and once all are confirmed the record. */
  async #putLarge(
    session: Session,
    object: NewObject,
    pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    deadline: () => number,
    failed?: (reason: unknown) => void,
  ): Promise<ObjectInfo> {
    if (!this.#stream.config) await this.#stream.open(session, deadline());
    const nuid = nuids.next();
    const subject = this.#stream.record(object.name);
    const upload = new Upload(
      session,
      this.#stream,
      nuid,
      deadline,
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
      const until = deadline();
      await this.#records.inTurn(subject, until, () => this.#records.replace(session, stored, until));
      return objectInfo(meta, mtime);
    } catch (error) {
      await upload.settled();
      // What refuses a later try says nothing of one that nobody has answered.
      const unsure = upload.unanswered || record?.unsure || error instanceof Unavailable;
      if (upload.chunks > 0) await this.#abandon(session, nuid, unsure, deadline());
      throw error;
    }
  }

  /** Removes what a failed write has stored; where it is unsure what that is, only the infos will tell whether the pieces are an object. */
  async #abandon(session: Session, nuid: string, unsure: boolean, deadline: number): Promise<void> {
    if (unsure) this.#leftovers.removeLater({ nuid, replacedBy: 0 });
    else await this.#leftovers.removeNow(session, nuid, deadline);
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
