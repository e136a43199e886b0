import type { Msg } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { headerOf, lastHeaderOf, parseHeaderBlock, rawHeaders } from "../connection/nats/raw_headers.ts";

/** A message as a stream keeps it, however it was fetched. */
export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly time: Date;
  readonly data: Uint8Array;
  /** Messages that match behind it, where a batched direct get states them. */
  readonly pending?: number;
  /** The first value of a header, or `undefined`. */
  header(name: string): string | undefined;
  /** All headers that its publisher gave. */
  headers(): [name: string, value: string][];
}

/** The headers that the server adds to an answer of a direct get. */
const ADDED: ReadonlySet<string> = new Set([
  "Nats-Subject",
  "Nats-Sequence",
  "Nats-Time-Stamp",
  "Nats-Stream",
  "Nats-Num-Pending",
  "Nats-Last-Sequence",
  "Nats-UpTo-Sequence",
]);

/** A message that came by direct get: where it was stored stands in the server's headers, which are read only when needed. */
export class DirectMessage implements StoredMessage {
  readonly #reply: Msg;
  #data: Uint8Array | undefined;

  constructor(reply: Msg) {
    this.#reply = reply;
  }

  get subject(): string {
    return lastHeaderOf(this.#reply, "Nats-Subject") ?? "";
  }

  get sequence(): number {
    return Number(lastHeaderOf(this.#reply, "Nats-Sequence"));
  }

  get time(): Date {
    return new Date(lastHeaderOf(this.#reply, "Nats-Time-Stamp") ?? NaN);
  }

  get pending(): number | undefined {
    const pending = lastHeaderOf(this.#reply, "Nats-Num-Pending");
    return pending === undefined ? undefined : Number(pending);
  }

  get data(): Uint8Array {
    return this.#data ??= this.#reply.data;
  }

  header(name: string): string | undefined {
    return headerOf(this.#reply, name);
  }

  headers(): [string, string][] {
    return headerPairs(this.#reply).filter(([name]) => !ADDED.has(name));
  }
}

/** A message of an answer of `STREAM.MSG.GET`. */
export interface ApiMessageBody {
  subject: string;
  seq: number;
  time: string;
  data?: string;
  hdrs?: string;
}

/** A message that came from the stream's leader by `STREAM.MSG.GET`. */
export class LeaderMessage implements StoredMessage {
  readonly #body: ApiMessageBody;
  #headers: [string, string][] | undefined;

  constructor(body: ApiMessageBody) {
    this.#body = body;
  }

  get subject(): string {
    return this.#body.subject;
  }

  get sequence(): number {
    return this.#body.seq;
  }

  get time(): Date {
    return new Date(this.#body.time);
  }

  get data(): Uint8Array {
    return new Uint8Array(Buffer.from(this.#body.data ?? "", "base64"));
  }

  header(name: string): string | undefined {
    return this.headers().find(([key]) => key === name)?.[1];
  }

  headers(): [string, string][] {
    this.#headers ??= parseHeaderBlock(Buffer.from(this.#body.hdrs ?? "", "base64").toString());
    return this.#headers;
  }
}

/** The headers of a message as pairs. */
export function headerPairs(message: Msg): [name: string, value: string][] {
  const block = rawHeaders(message);
  if (block !== undefined) return parseHeaderBlock(block);
  return [...message.headers ?? []].flatMap(([name, values]) => values.map((value): [string, string] => [name, value]));
}
