import type { StoredMessage } from "../wire/stored_message.ts";

/**
 * What an entry says of its key: a value, or that there is none any more.
 *
 * @category Buckets
 */
export type KvOperation = "put" | "delete" | "purge";

/**
 * One revision of a key.
 *
 * @category Buckets
 */
export interface KvEntry {
  /** The key. */
  readonly key: string;
  /** The value as bytes; empty where the operation is not `put`. */
  readonly value: Uint8Array<ArrayBuffer>;
  /** The number of this revision: it grows with every write to the bucket, whatever the key. */
  readonly revision: number;
  /** When the server stored it. */
  readonly created: Date;
  /** `put` for a value; `delete` and `purge` are met in `history` and `watch` only. An expiry that the server marks is a `purge`. */
  readonly operation: KvOperation;
  /** The value as text (UTF-8). */
  text(): string;
  /**
   * The value parsed as JSON. `T` is what the caller expects, not a check; `put(key, JSON.stringify(value))` is the way in.
   *
   * @throws {SyntaxError} If it is no JSON.
   */
  json<T = unknown>(): T;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** An entry over what keeps it; nothing of that is read before it is asked for. */
export class StoredEntry implements KvEntry {
  readonly key: string;
  readonly operation: KvOperation;
  readonly #message: Pick<StoredMessage, "sequence" | "time" | "data">;

  constructor(key: string, operation: KvOperation, message: Pick<StoredMessage, "sequence" | "time" | "data">) {
    this.key = key;
    this.operation = operation;
    this.#message = message;
  }

  get value(): Uint8Array<ArrayBuffer> {
    // A copy: what the socket has read holds other values, too, and must not be kept or transferred by the caller.
    return new Uint8Array(this.#message.data);
  }

  get revision(): number {
    return this.#message.sequence;
  }

  get created(): Date {
    return this.#message.time;
  }

  text(): string {
    return decoder.decode(this.#message.data);
  }

  json<T = unknown>(): T {
    return JSON.parse(this.text());
  }
}

/** What a message means for its key (ADR-8, and ADR-48 for what the server wrote itself). */
export function operationOf(message: StoredMessage): KvOperation {
  // A marker has no body, so the headers of a message that has one need not be parsed.
  if (message.data.length > 0) return "put";
  const reason = message.header("Nats-Marker-Reason");
  if (reason !== undefined) return reason === "Remove" ? "delete" : "purge";
  switch (message.header("KV-Operation")) {
    case "DEL":
      return "delete";
    case "PURGE":
      return "purge";
    default:
      return "put";
  }
}
