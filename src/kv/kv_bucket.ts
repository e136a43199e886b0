import { Unavailable } from "../connection/unavailable.ts";
import type { Context } from "../wire/context.ts";
import { headerBlock } from "../wire/headers.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { StreamReader } from "../wire/stream_reader.ts";
import { checkName, checkSubject, checkText, encodeKey } from "../wire/tokens.ts";
import { type KvEntry, operationOf, StoredEntry } from "./kv_entry.ts";
import { checkKvOptions, type KvBucketOptions } from "./kv_options.ts";
import { KvStream } from "./kv_stream.ts";

/** A key-value bucket. */
export class KvBucket {
  /** The bucket's name. */
  readonly name: string;
  readonly #context: Context;
  readonly #stream: KvStream;
  readonly #reader: StreamReader;

  /** @ignore Use `kvBucket(name, options)`. */
  constructor(context: Context, name: string, options: KvBucketOptions = {}) {
    checkName(name, "bucket");
    checkKvOptions(options);
    this.name = name;
    this.#context = context;
    this.#stream = new KvStream(context, name, options);
    this.#reader = new StreamReader(this.#stream.name);
  }

  /** The value of a key, or `null`. */
  get(key: string): Promise<KvEntry | null> {
    const subject = this.#subject(key, "read the value");
    return this.#attempt(async (session, deadline) => {
      const message = await this.#reader.last(session, subject, deadline);
      return message === null || operationOf(message) !== "put" ? null : new StoredEntry(key, message);
    });
  }

  /** Stores a value; the revision. */
  put(key: string, value: string | Uint8Array): Promise<number | null> {
    const subject = this.#subject(key, "store the value");
    return this.#attempt(async (session, deadline) => {
      const config = await this.#stream.open(session, deadline);
      try {
        return (await publish(session, subject, value, deadline)).seq;
      } catch (error) {
        if (error instanceof Unavailable && error.reason === "no_responders") this.#stream.forget(config);
        throw error;
      }
    });
  }

  /** Deletes a key. */
  delete(key: string): Promise<true | null> {
    const subject = this.#subject(key, "delete the key");
    return this.#attempt(async (session, deadline) => {
      await publish(session, subject, "", deadline, headerBlock({ "KV-Operation": "DEL" }));
      return true as const;
    });
  }

  #subject(key: string, doing: string): string {
    checkText(key, doing, "key");
    return checkSubject(this.#stream.prefix + encodeKey(key), doing, "key");
  }

  #attempt<T>(operation: (session: Session, deadline: number) => Promise<T>): Promise<T | null> {
    return this.#context.connection.attempt(operation, { timeout: this.#context.timeout });
  }
}
