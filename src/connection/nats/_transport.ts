import type { ConnectionOptions, Server, ServerInfo } from "@nats-io/nats-core";
import { extractProtocolMessage, INFO, type Transport } from "@nats-io/nats-core/internal";
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";
import { SILENCE } from "./silence.ts";

/** Bytes of small messages that a block is read for at once, at least, and which share of it. */
const MIN_PART_BYTES = 4_096;
const PART = 1 / 2;

/** Bytes that the first line of a server may have. */
const MAX_GREETING = 1_048_576;

/**
 * Reads a block of bytes: all of it, or up to a frame behind `least` bytes of small messages. It may be written over afterwards.
 *
 * @returns Where it stopped.
 */
export type ReadBlock = (block: Uint8Array, least: number) => number;

/** A block that has not been read. */
interface Waiting {
  block: Uint8Array;
  /** Whether it is what is left of a block of which a part was read. */
  isRest: boolean;
}

/**
 * What our transports of the NATS protocol have in common: the blocks of bytes that arrived, the server's first line, and one end.
 *
 * Whatever goes wrong ends the transport, and the end releases all that it holds: nothing else has to be looked after.
 */
export abstract class OwnTransport implements Transport {
  readonly lang = "supercheck-jetstream";
  readonly version = "1";
  closeError?: Error;
  /** Reads what arrives, from when the NATS client asks for it. */
  onBlock: ReadBlock = (block) => block.length;
  readonly #closed = Promise.withResolvers<void | Error>();
  readonly #over = Promise.withResolvers<never>();
  #waiting: Waiting[] = [];
  #isAsked = false;
  #wake: () => void = () => {};
  #done = false;
  /** Whether what arrived does not count any more. */
  #isGivenUp = false;

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

  /** What the NATS client reads: nothing, as {@linkcode OwnTransport.onBlock} has read all of it, up to the end. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    const next = async (): Promise<IteratorReturnResult<undefined>> => {
      await this.#readToEnd();
      this.#closed.resolve(this.closeError);
      return { done: true, value: undefined };
    };
    return { next, [Symbol.asyncIterator]: () => this[Symbol.asyncIterator]() };
  }

  close(error?: Error): Promise<void> {
    this.#isGivenUp = true;
    this.#waiting = [];
    this.end(error);
    return Promise.resolve();
  }

  /** Too many pings are unanswered. */
  disconnect(): void {
    this.close(new Error(SILENCE));
  }

  discard(): void {
    this.close();
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  abstract isEncrypted(): boolean;

  abstract send(bytes: Uint8Array): void;

  /** Sends parts of frames, one behind the other; they must not be changed any more. */
  abstract sendAll(parts: Uint8Array[]): void;

  /** Connects, up to the server's first line; may hang when {@linkcode OwnTransport.end} is called meanwhile. */
  protected abstract open(server: Server, options: ConnectionOptions): Promise<void>;

  /** Lets go of the socket. */
  protected abstract release(): void;

  /** Takes bytes that arrived; they may be written over afterwards. */
  protected take(block: Uint8Array): void {
    if (this.#isGivenUp) return;
    if (this.#isAsked && this.#waiting.length === 0) this.#read(block, false);
    else this.#waiting.push({ block: new Uint8Array(block), isRest: false });
    if (this.#waiting.length > 0) this.#wake();
  }

  /** Drops what arrived and has not been read. */
  protected forget(): void {
    this.#waiting = [];
  }

  /** Waits for the server's first line, which stays in place for the protocol. */
  protected async greeting(): Promise<ServerInfo> {
    for (;;) {
      const bytes = Buffer.concat(this.#waiting.map(({ block }) => block));
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

  async #readToEnd(): Promise<void> {
    this.#isAsked = true;
    // What the server sent before it closed still counts.
    while (!this.#done || this.#waiting.length > 0) {
      const next = this.#waiting.shift();
      if (next) this.#read(next.block, next.isRest);
      else await new Promise<void>((resolve) => this.#wake = resolve);
      // What one part leads to is sent before the next is read: a tick runs behind all promises only where one of them has begun it.
      await null;
      if (this.#waiting.length > 0) await new Promise<void>((resolve) => nextTick(resolve));
    }
  }

  /**
   * Reads a block in two parts where it has many messages. They may be replies, each of which makes its caller send the next request: if all were read
   * first, server and client would wait for each other in turn.
   */
  #read(block: Uint8Array, isRest: boolean): void {
    const least = isRest ? Infinity : Math.max(MIN_PART_BYTES, block.length * PART);
    const end = this.onBlock(block, least);
    if (end < block.length && !this.#isGivenUp) {
      this.#waiting.unshift({ block: new Uint8Array(block.subarray(end)), isRest: true });
    }
  }
}
