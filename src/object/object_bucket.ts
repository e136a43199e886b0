import type { Context } from "../wire/context.ts";
import type { Session } from "../wire/session.ts";
import { deleteStream, streamInfo } from "../wire/streams.ts";
import { checkName, checkSubject, checkText } from "../wire/tokens.ts";
import { type ObjectInfo, objectInfo } from "./object_info.ts";
import { checkBucketOptions, checkPutOptions, type ObjectBucketOptions, type PutOptions } from "./object_options.ts";
import { ObjectReader } from "./object_reader.ts";
import { ObjectStream } from "./object_stream.ts";
import { type Deletion, ObjectWriter } from "./object_writer.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** An object bucket. */
export class ObjectBucket {
  /** The bucket's name. */
  readonly name: string;
  readonly #context: Context;
  readonly #stream: ObjectStream;
  readonly #reader: ObjectReader;
  readonly #writer: ObjectWriter;
  readonly #chunkSize: number;

  /**
   * What `objectBucket(name, options)` is made of.
   * @ignore
   */
  constructor(context: Context, name: string, options: ObjectBucketOptions = {}) {
    checkName(name, "bucket");
    checkBucketOptions(options);
    this.name = name;
    this.#context = context;
    this.#chunkSize = options.maxChunkSize ?? 131_072;
    this.#stream = new ObjectStream(context, name, options);
    this.#reader = new ObjectReader(context, this.#stream);
    this.#writer = new ObjectWriter(context, this.#stream, this.#reader);
  }

  /** Stores an object. */
  async put(name: string, data: string | Uint8Array, options: PutOptions = {}): Promise<ObjectInfo | null> {
    const doing = "store the object";
    this.#check(name, doing);
    const bytes = bytesOf(data, doing);
    checkPutOptions(options, doing);
    const { chunkSize = this.#chunkSize } = options;
    return await this.#attempt((session, deadline) =>
      this.#writer.put(session, name, bytes, options, chunkSize, deadline)
    );
  }

  /** The bytes of an object, or `null`. */
  async get(name: string): Promise<Uint8Array | null> {
    const data = await this.#read(name);
    // A view of the socket's buffer would keep all of that alive.
    return data && (data.byteLength < data.buffer.byteLength ? new Uint8Array(data) : data);
  }

  /** The text of an object (UTF-8), or `null`. */
  async getText(name: string): Promise<string | null> {
    const data = await this.#read(name);
    return data && decoder.decode(data);
  }

  /** What is known of an object, or `null`. */
  async info(name: string): Promise<ObjectInfo | null> {
    this.#check(name, "look at the object");
    return await this.#attempt(async (session, deadline) => {
      const meta = await this.#reader.find(session, name, deadline, false);
      return meta && !meta.deleted ? objectInfo(meta, meta.message.time) : null;
    });
  }

  /** Deletes an object. */
  async delete(name: string): Promise<boolean | null> {
    this.#check(name, "delete the object");
    const deletion: Deletion = {};
    return await this.#attempt((session, deadline) => this.#writer.delete(session, name, deletion, deadline));
  }

  /** Removes the bucket with all that is in it. */
  async destroy(): Promise<boolean | null> {
    return await this.#attempt(async (session, deadline) => {
      const info = await streamInfo(session, this.#stream.name, deadline);
      if (!info) return false;
      this.#stream.checkKind(info.config);
      this.#writer.forget();
      return await deleteStream(session, this.#stream.name, deadline);
    });
  }

  #read(name: string): Promise<Uint8Array | null> {
    this.#check(name, "read the object");
    return this.#attempt((session, deadline) => this.#reader.get(session, name, deadline));
  }

  #check(name: string, doing: string): void {
    checkText(name, doing, "name");
    checkSubject(this.#stream.record(name), doing, "name");
  }

  #attempt<T>(operation: (session: Session, deadline: number) => Promise<T>): Promise<T | null> {
    return this.#context.connection.attempt(operation, { timeout: this.#context.timeout });
  }
}

function bytesOf(data: unknown, doing: string): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data === "string") {
    if (data.isWellFormed()) return encoder.encode(data);
    throw new TypeError(`Cannot ${doing} as 'data' must be well-formed Unicode`);
  }
  throw new TypeError(
    `Cannot ${doing} as 'data' must be a string or a Uint8Array: current value is ${
      data === null ? "null" : `of type ${typeof data}`
    }`,
  );
}
