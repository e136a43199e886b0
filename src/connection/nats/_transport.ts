import type { ConnectionOptions, Server, ServerInfo } from "@nats-io/nats-core";
import { extractProtocolMessage, INFO, type Transport } from "@nats-io/nats-core/internal";
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";

/** Into how many parts a frame is cut, and how few bytes a part may have. */
const MAX_PARTS = 2;
const MIN_PART_BYTES = 4_096;

/** Bytes within which the next message is looked for: small ones begin there, and a large one is not worth the search. */
const SEARCHED_BYTES = 1_024;

/** In front of "MSG" where the message has headers. */
const HEADERS = "H".charCodeAt(0);

/** Bytes that the first line of a server may have. */
const MAX_GREETING = 1_048_576;

/**
 * What our transports of the NATS protocol have in common: the frames that came, the server's first line, and one end.
 *
 * Whatever goes wrong ends the transport, and the end releases all that it holds: nothing else has to be looked after.
 */
export abstract class OwnTransport implements Transport {
  readonly lang = "supercheck-jetstream";
  readonly version = "1";
  closeError?: Error;
  readonly #closed = Promise.withResolvers<void | Error>();
  readonly #over = Promise.withResolvers<never>();
  #frames: Uint8Array[] = [];
  #wake: () => void = () => {};
  #done = false;

  constructor() {
    // Avoids an unhandled rejection when no connect() is under way.
    this.#over.promise.catch(() => {});
  }

  get isClosed(): boolean {
    return this.#done;
  }

  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    if (this.#done) throw this.closeError ?? new Error("the connection was given up");
    try {
      await Promise.race([this.open(server, options), this.#over.promise]);
    } catch (error) {
      this.end(error as Error);
      throw error;
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    // What the server sent before it closed still counts.
    while (!this.#done || this.#frames.length > 0) {
      const frame = this.#frames.shift();
      if (frame) yield frame;
      // What one part leads to is sent before the next is looked at.
      if (this.#frames.length > 0) await new Promise<void>((resolve) => nextTick(resolve));
      else if (!this.#done) await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#closed.resolve(this.closeError);
  }

  close(error?: Error): Promise<void> {
    this.#frames = [];
    this.end(error);
    return Promise.resolve();
  }

  /** Too many pings are unanswered. */
  disconnect(): void {
    this.close(new Error("the server does not answer"));
  }

  discard(): void {
    this.close();
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  abstract isEncrypted(): boolean;

  abstract send(frame: Uint8Array): void;

  /** Connects, up to the server's first line; may hang when {@linkcode OwnTransport.end} is called meanwhile. */
  protected abstract open(server: Server, options: ConnectionOptions): Promise<void>;

  /** Lets go of the socket. */
  protected abstract release(): void;

  /** Takes what came. */
  protected take(frame: Uint8Array): void {
    this.#frames.push(...inParts(frame));
    this.#wake();
  }

  /** Waits for the server's first line, which stays in place for the protocol. */
  protected async greeting(): Promise<ServerInfo> {
    for (;;) {
      const bytes = Buffer.concat(this.#frames);
      const line = extractProtocolMessage(bytes);
      const info = INFO.exec(line)?.[1];
      if (info !== undefined) return JSON.parse(info);
      if (line !== "" || bytes.length > MAX_GREETING) throw new Error("the server does not speak NATS");
      if (this.#done) throw this.closeError ?? new Error("the connection was given up");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** The end; only the first call counts. */
  protected end(error?: Error): void {
    if (this.#done) return;
    this.#done = true;
    this.closeError = error;
    this.release();
    this.#over.reject(error ?? new Error("the connection was given up"));
    this.#wake();
  }
}

/**
 * Cuts a frame where messages begin, as far as they can be found. Many replies come in one frame, and each makes its caller send
 * the next request: if all were handled first, server and client would wait for each other in turn.
 */
function inParts(frame: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const least = Math.max(MIN_PART_BYTES, Math.ceil(frame.length / MAX_PARTS));
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  for (let start = 0; start < frame.length;) {
    const from = start + least;
    const found = from < frame.length ? bytes.subarray(from, from + SEARCHED_BYTES).indexOf("MSG ") : -1;
    const message = from + found;
    const end = found < 0 ? frame.length : bytes[message - 1] === HEADERS ? message - 1 : message;
    parts.push(frame.subarray(start, end));
    start = end;
  }
  return parts;
}
