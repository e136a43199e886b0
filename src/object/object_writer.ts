import { nuid as nuids } from "@nats-io/nats-core";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import type { Context } from "../wire/context.ts";
import { headerBlock } from "../wire/headers.ts";
import { insist } from "../wire/insist.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { Leftovers } from "./leftovers.ts";
import { dataPieces, sourcePieces } from "./object_data.ts";
import { digestOf } from "./object_digest.ts";
import { type ObjectInfo, objectInfo, type ObjectMeta } from "./object_info.ts";
import type { PutOptions, PutStreamOptions } from "./object_options.ts";
import type { ObjectReader } from "./object_reader.ts";
import { isOutrun, type NewRecord, ObjectRecords } from "./object_records.ts";
import type { ObjectStream } from "./object_stream.ts";
import { Upload } from "./upload.ts";

/** Bytes of the server's `max_payload` that the headers of a piece may take. */
const HEADERS = 128;

/** Writes the objects of one bucket. */
export class ObjectWriter {
  readonly #context: Context;
  readonly #stream: ObjectStream;
  readonly #reader: ObjectReader;
  readonly #leftovers: Leftovers;
  readonly #records: ObjectRecords;

  constructor(context: Context, stream: ObjectStream, reader: ObjectReader) {
    this.#context = context;
    this.#stream = stream;
    this.#reader = reader;
    this.#leftovers = new Leftovers(context, stream);
    this.#records = new ObjectRecords(stream, this.#leftovers);
  }

  /** Stores an object. */
  put(
    session: Session,
    name: string,
    data: Uint8Array,
    options: PutOptions,
    chunkSize: number,
    deadline: number,
  ): Promise<ObjectInfo> {
    const size = Math.min(chunkSize, session.maxPayload - HEADERS);
    return this.#explained(
      data.length > size
        ? this.#putLarge(session, name, data, options, size, deadline)
        : insist(deadline, (deadline) => this.#putSmall(session, name, data, options, size, deadline)),
    );
  }

  /** Stores the object that a source gives. */
  putFrom(
    session: Session,
    name: string,
    source: ReadableStream<Uint8Array>,
    { signal, ...options }: PutStreamOptions,
    chunkSize: number,
  ): Promise<ObjectInfo> {
    const size = Math.min(chunkSize, session.maxPayload - HEADERS);
    return this.#explained(this.#upload(session, name, sourcePieces(source, size, signal), options, size));
  }

  /** Marks an object as deleted; `false` if there is none. */
  async delete(session: Session, name: string, deletion: Deletion, deadline: number): Promise<boolean> {
    const found = await this.#reader.find(session, name, deadline, true);
    if (!found) return false;
    return await this.#explained(this.#records.inTurn(found.subject, deadline, async () => {
      for (let meta = found;;) {
        if (meta.deleted) return deletion.nuid === meta.nuid;
        const { subject, message, ...record } = meta;
        const body = JSON.stringify({ ...record, size: 0, chunks: 0, digest: "", deleted: true, mtime: now() });
        try {
          const newest = { sequence: message.sequence, nuid: meta.nuid, until: Infinity };
          await this.#records.store(session, { subject, body }, newest, deadline);
          return true;
        } catch (error) {
          if (error instanceof Unavailable) deletion.nuid = meta.nuid;
          if (!isOutrun(error)) throw error;
        }
        const again = await this.#reader.find(session, name, deadline, true);
        if (!again) return false;
        meta = again;
      }
    }));
  }

  /** The stream has gone. */
  forget(): void {
    this.#stream.forget();
    this.#records.forget();
  }

  async #open(session: Session, deadline: number): Promise<void> {
    if (!this.#stream.config) await this.#stream.open(session, deadline);
  }

  /** One piece, and its record right behind it, which the server takes only if it has taken the piece. */
  async #putSmall(
    session: Session,
    name: string,
    data: Uint8Array,
    options: PutOptions,
    chunkSize: number,
    deadline: number,
  ): Promise<ObjectInfo> {
    await this.#open(session, deadline);
    const nuid = nuids.next();
    const chunks = data.length > 0 ? 1 : 0;
    const meta = this.#meta(name, options, chunkSize, { nuid, size: data.length, chunks, digest: digestOf(data) });
    const record = { subject: this.#stream.record(name), nuid, body: JSON.stringify(meta) };
    await this.#records.inTurn(record.subject, deadline, async () => {
      try {
        if (chunks === 0) await this.#records.replace(session, record, deadline, this.#records.known(record.subject));
        else await this.#storeTogether(session, nuid, data, record, deadline);
      } catch (error) {
        // The record may have been stored after all, if nobody answered.
        if (error instanceof Unavailable) this.#leftovers.removeLater({ nuid, record: record.subject });
        else this.#leftovers.remove({ nuid });
        throw error;
      }
    });
    return objectInfo(meta, new Date(meta.mtime));
  }

  async #storeTogether(
    session: Session,
    nuid: string,
    data: Uint8Array,
    record: NewRecord,
    deadline: number,
  ): Promise<void> {
    let newest = this.#records.known(record.subject);
    const piece = publish(session, this.#stream.chunks(nuid), data, deadline, headerBlock({ "Nats-Msg-Id": nuid }));
    if (newest) {
      piece.catch(() => {});
      try {
        return await this.#records.store(session, record, newest, deadline, nuid);
      } catch (error) {
        // Why the piece was refused tells more than that its record was.
        await piece;
        if (!isOutrun(error)) throw error;
        if (!isServerError(error, ErrorCode.wrongLastMessageId)) newest = undefined;
      }
    } else {
      const looking = this.#records.look(session, record.subject, deadline);
      looking.catch(() => {});
      await piece;
      newest = await looking;
    }
    await this.#records.replace(session, record, deadline, newest);
  }

  async #putLarge(
    session: Session,
    name: string,
    data: Uint8Array,
    options: PutOptions,
    chunkSize: number,
    deadline: number,
  ): Promise<ObjectInfo> {
    await this.#open(session, deadline);
    return await this.#upload(session, name, dataPieces(data, chunkSize), options, chunkSize, deadline);
  }

  async #upload(
    session: Session,
    name: string,
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: PutOptions,
    chunkSize: number,
    deadline?: number,
  ): Promise<ObjectInfo> {
    const nuid = nuids.next();
    const subject = this.#stream.record(name);
    const upload = new Upload(session, this.#stream.chunks(nuid), this.#context.timeout);
    let recordSent = false;
    try {
      for await (const piece of source) await upload.add(piece);
      const digest = await upload.end();
      const { size, chunks } = upload;
      const meta = this.#meta(name, options, chunkSize, { nuid, size, chunks, digest });
      const until = deadline ?? performance.now() + this.#context.timeout;
      await this.#records.inTurn(subject, until, async () => {
        recordSent = true;
        const known = this.#records.known(subject);
        await this.#records.replace(session, { subject, nuid, body: JSON.stringify(meta) }, until, known);
      });
      return objectInfo(meta, new Date(meta.mtime));
    } catch (error) {
      await upload.settled();
      if (recordSent && error instanceof Unavailable) this.#leftovers.removeLater({ nuid, record: subject });
      else if (upload.unanswered) this.#leftovers.removeLater({ nuid });
      else if (upload.chunks > 0) this.#leftovers.remove({ nuid });
      throw error;
    }
  }

  #meta(
    name: string,
    { description, headers, metadata }: PutOptions,
    chunkSize: number,
    content: { nuid: string; size: number; chunks: number; digest: string },
  ): ObjectMeta {
    return {
      name,
      ...(description && { description }),
      ...(headers && {
        headers: Object.fromEntries(
          Object.entries(headers).map(([header, values]) => [header, Array.isArray(values) ? values : [values]]),
        ),
      }),
      ...(metadata && { metadata }),
      options: { max_chunk_size: chunkSize },
      bucket: this.#stream.bucket,
      ...content,
      mtime: now(),
    };
  }

  /** What a write meets, in the words of a bucket. */
  async #explained<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      if (error instanceof Unavailable && error.reason === "no_responders") this.forget();
      if (!isServerError(error, ErrorCode.streamSealed)) throw error;
      throw new JetStreamStoreError(
        "server",
        `The bucket "${this.#stream.bucket}" is sealed: it takes no more changes. Use another bucket`,
        { cause: error, serverCode: error.serverCode },
      );
    }
  }
}

/** A deletion that may take several tries. */
export interface Deletion {
  /** The version that an unanswered try has marked, perhaps. */
  nuid?: string;
}

function now(): string {
  return new Date().toISOString();
}
