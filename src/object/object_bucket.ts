import { checkText, isInstance, wrong, wrongType } from "../checks.ts";
import { type BucketStatus, bucketStatus } from "../bucket/bucket_status.ts";
import type { Context } from "../wire/context.ts";
import { checkName, checkSubject } from "../wire/tokens.ts";
import type { WatchOptions as ObjectWatchOptions } from "../bucket/watch.ts";
import { rejecting } from "../rejecting.ts";
import { checkSource, dataBytes } from "./format/object_data.ts";
import { download } from "./_download.ts";
import { InfoChange } from "./_info_changes.ts";
import { type ObjectInfo, objectInfo, type ObjectLink } from "./format/object_info.ts";
import { listObjects, watchObjects } from "./_object_lists.ts";
import {
  checkLink,
  checkObjectBucketOptions,
  checkPutOptions,
  checkPutStreamOptions,
  checkUpdate,
  type ObjectBucketOptions,
  type ObjectUpdate,
  type PutOptions,
  type PutStreamOptions,
} from "./object_options.ts";
import { checkRange, type ObjectRange } from "./format/object_range.ts";
import { ObjectReader } from "./_object_reader.ts";
import { respond } from "./_object_response.ts";
import { ObjectStream } from "./_object_stream.ts";
import { ObjectWriter } from "./_object_writer.ts";

/** Bytes of a chunk by default, as in all clients. */
const CHUNK_BYTES = 131_072;

const STORING = "store the object";
const READING = "read the object";
const UPDATING = "update the object";
const LINKING = "link the object";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * An object bucket, in the format of all NATS clients (ADR-20).
 *
 * Any non-empty string is a name. An object is replaced as a whole: a concurrent read returns the old version or the new one, and a write that fails
 * leaves the old one as it was. The bucket is made by the first write; reads of what is not there are `null`, as is everything while there is no
 * connection.
 *
 * With replicas a process reads what it has stored, and never an older version than it has read: for the 10 000 objects of a bucket that it used
 * last, and for what it stored within the last minute.
 *
 * All methods throw a `TypeError` or a `RangeError` for an argument that is not what it must be, an empty name for instance, and a
 * {@linkcode JetStreamStoreError} if the server refuses, or the stream of the bucket's name is no object bucket.
 *
 * @example
 * ```ts
 * import { close, objectBucket } from "@supercheck/jetstream";
 *
 * const reports = objectBucket("reports", { ttl: 86_400_000 });
 * await reports.put("2026/weekly.json", '{ "checks": 12 }');
 * console.log(await reports.getText("2026/weekly.json"));
 * await close();
 * ```
 *
 * @category Buckets
 */
export class ObjectBucket {
  /** The bucket's name. */
  readonly name: string;
  readonly #stream: ObjectStream;
  readonly #reader: ObjectReader;
  readonly #writer: ObjectWriter;
  readonly #chunkSize: number;

  /**
   * What `objectBucket(name, options)` is made of.
   * @ignore
   */
  constructor(context: Context, name: string, given?: ObjectBucketOptions) {
    checkName(name, "bucket");
    const options = checkObjectBucketOptions(given);
    this.name = name;
    this.#chunkSize = options.maxChunkSize ?? CHUNK_BYTES;
    this.#stream = new ObjectStream(context, name, options);
    this.#reader = new ObjectReader(this.#stream);
    this.#writer = new ObjectWriter(this.#stream, this.#reader);
  }

  /**
   * Stores an object, in place of the one of this name. Its bytes are copied, so that changing them later changes nothing; of very large objects
   * {@linkcode ObjectBucket.putStream} keeps less in memory.
   *
   * @returns What was stored; `null` if it is not confirmed: without a connection nothing is stored, without an answer it may be.
   * @throws {JetStreamStoreError} If the server refuses, for instance as the bucket is full. The version before is still there then.
   */
  async put(name: string, data: string | Uint8Array, given?: PutOptions): Promise<ObjectInfo | null> {
    this.#check(name, STORING);
    const options = checkPutOptions(given, STORING);
    const { chunkSize = this.#chunkSize } = options;
    const bytes = dataBytes(data, STORING);
    return await this.#stream.observe("put", (call) => this.#writer.put(call, { name, options, chunkSize }, bytes));
  }

  /**
   * Stores an object whose bytes come from a stream, as fast as the server takes them; it is there once the stream has ended. The stream may be
   * slow; the timeout applies to the server's replies. In any case it is read to its end or cancelled.
   *
   * @returns What was stored; `null` if it is not confirmed: without a connection nothing is stored, without an answer it may be.
   * @throws {JetStreamStoreError} If the server refuses. The version before is still there then, as it is if the stream fails (what it throws is
   * thrown) or `signal` aborts (its reason is thrown).
   *
   * @example
   * ```ts
   * import { close, objectBucket } from "@supercheck/jetstream";
   *
   * const source = new Blob(["a large file"]).stream();
   * await objectBucket("files").putStream("large.bin", source);
   * await close();
   * ```
   */
  async putStream(
    name: string,
    source: ReadableStream<Uint8Array>,
    given?: PutStreamOptions,
  ): Promise<ObjectInfo | null> {
    this.#check(name, STORING);
    checkSource(source, STORING);
    const options = checkPutStreamOptions(given, STORING);
    const { signal, chunkSize = this.#chunkSize } = options;
    return await this.#writer.putStream({ name, options, chunkSize }, source, signal);
  }

  /**
   * Reads the bytes of an object, or of a part of it, for which only the chunks that hold it are read. Links are followed. The
   * digest is that of the whole object, so a part is not checked against it.
   *
   * @param range Which bytes; all by default.
   * @returns `null` if there is no such object (never was, is deleted, has expired), or without a connection.
   * @throws {JetStreamStoreError} `damaged`, if the object does not match its digest, or its info is damaged; `wrong_kind`, if it is a link that leads to no object.
   */
  async get(name: string, range?: ObjectRange): Promise<Uint8Array<ArrayBuffer> | null> {
    const data = await this.#read(name, range);
    // A view of the socket's buffer would keep all of that alive.
    return data && (data.byteLength < data.buffer.byteLength ? new Uint8Array(data) : data as Uint8Array<ArrayBuffer>);
  }

  /** As {@linkcode ObjectBucket.get}, as text (UTF-8). */
  getText(name: string): Promise<string | null> {
    return rejecting(() => this.#read(name).then((data) => data && decoder.decode(data)));
  }

  /**
   * As {@linkcode ObjectBucket.get}, as a stream, for objects that are too large to hold in memory. It resumes after a reconnect, and ends with a
   * `JetStreamStoreError` if it cannot be whole: `disconnected`, `replaced`, or `damaged`.
   */
  async getStream(name: string, range?: ObjectRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
    this.#check(name, READING);
    const part = checkRange(range, READING);
    return await this.#stream.observe(
      "getStream",
      (call) => this.#reader.read(call, name, (chunks) => download(call, chunks.range(part))),
    );
  }

  /**
   * Answers an HTTP request for an object: `GET` and `HEAD`, whole or one range of bytes, also under `If-None-Match`, `If-Modified-Since` and
   * `If-Range`; of a range only the chunks that hold it are read. The content type is the one that was stored among the object's headers, or follows
   * from its name; `Cache-Control`, `Content-Disposition`, `Content-Encoding` and `Content-Language` are passed on. The `ETag` is the digest.
   *
   * @returns 200, 206, 304, 404, 405 (another method), 416, or 503 without a connection.
   * @throws {JetStreamStoreError} `damaged` or `wrong_kind`, as {@linkcode ObjectBucket.get}.
   *
   * @example Serve a bucket
   * ```ts
   * import { close, objectBucket } from "@supercheck/jetstream";
   *
   * const request = new Request("http://localhost/a.txt");
   * const response = await objectBucket("files").respond(request, "a.txt");
   * console.log(response.status);
   * await close();
   * ```
   */
  async respond(request: Request, name: string): Promise<Response> {
    this.#check(name, "answer the request");
    if (!isInstance(request, Request)) throw wrongType("answer the request as 'request' must be a Request", request);
    return await respond(this.#stream, this.#reader, request, name);
  }

  /**
   * Returns the info of an object, or of a link.
   *
   * @returns `null` if there is no such object (never was, is deleted, has expired), or without a connection.
   */
  async info(name: string): Promise<ObjectInfo | null> {
    this.#check(name, "look at the object");
    return await this.#stream.observe("info", async (call) => {
      const meta = await this.#reader.find(call, name, false);
      return meta && !meta.deleted ? objectInfo(meta, meta.message.time) : null;
    });
  }

  /**
   * Changes what is stored along with an object or a link, or its name; its bytes stay. In a bucket with a TTL these expire as before, the info later.
   *
   * @returns The new info; `false` if there is no such object, or another one has the new name; `null` if it is not confirmed.
   */
  async update(name: string, changes: ObjectUpdate): Promise<ObjectInfo | false | null> {
    const update = checkUpdate(changes, UPDATING);
    for (const each of [name, update.name ?? name]) this.#check(each, UPDATING);
    const change = new InfoChange(name);
    return await this.#stream.observe("update", (call) => this.#writer.update(call, change, update));
  }

  /**
   * Stores a link to an object or to a whole bucket, which need not exist yet. A read of the link reads its target. A link replaces another link
   * but no object. Deleting it does not delete its target.
   * @returns The link's info; `false` if an object has this name; `null` if it is not confirmed.
   */
  async link(name: string, target: ObjectLink): Promise<ObjectInfo | false | null> {
    this.#check(name, LINKING);
    const link = checkLink(target, LINKING);
    if (link.bucket === this.name && link.name === name) {
      throw wrong(RangeError, `${LINKING} as 'target' must not be the link itself`, name);
    }
    const change = new InfoChange(name);
    return await this.#stream.observe("link", (call) => this.#writer.link(call, change, link));
  }

  /**
   * Deletes an object, or a link.
   *
   * @returns `false` if there was none; `null` if it is not confirmed.
   */
  async delete(name: string): Promise<boolean | null> {
    this.#check(name, "delete the object");
    const change = new InfoChange(name);
    return await this.#stream.observe("delete", (call) => this.#writer.delete(call, change));
  }

  /**
   * The objects of the bucket. One that is written while the list is read may come twice, the newer version later. Damaged infos are left out, and
   * the first of them is logged.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection, and when the list breaks off.
   */
  list(): AsyncIterable<ObjectInfo> {
    return listObjects(this.#stream);
  }

  /**
   * Follows the objects: first what is there, then each change. It resumes by itself after a reconnect, and when the bucket was made again; what was
   * written meanwhile comes then: the newest version of each object, not all that it has replaced. It ends with the loop, `signal`, and on `close()`.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) if there is no connection when it begins.
   *
   * @example
   * ```ts
   * import { close, objectBucket } from "@supercheck/jetstream";
   *
   * const reports = objectBucket("reports");
   * if (await reports.put("weekly", "12 checks")) {
   *   for await (const { name } of reports.watch()) if (name === "weekly") break;
   * }
   * await close();
   * ```
   */
  watch(given?: ObjectWatchOptions): AsyncIterable<ObjectInfo> {
    return watchObjects(this.#stream, given);
  }

  /**
   * The state of the bucket, and how it was made.
   *
   * @returns `null` if there is no such bucket, or without a connection.
   */
  async status(): Promise<BucketStatus | null> {
    return await this.#stream.observe("status", async (call) => {
      const info = await this.#stream.info(call);
      return info && bucketStatus(this.name, info);
    });
  }

  /**
   * Removes the bucket with all that is in it. The next write makes a new one.
   *
   * @returns `false` if there was none; `null` if it is not confirmed.
   */
  async destroy(): Promise<boolean | null> {
    this.#writer.forget();
    return await this.#stream.destroy();
  }

  #read(name: string, range?: ObjectRange): Promise<Uint8Array | null> {
    this.#check(name, READING);
    const part = checkRange(range, READING);
    return this.#stream.observe("get", (call) => this.#reader.read(call, name, (chunks) => chunks.bytes(call, part)));
  }

  #check(name: string, doing: string): void {
    checkText(name, doing, "name");
    checkSubject(this.#stream.infoSubject(name), doing, "name");
  }
}
