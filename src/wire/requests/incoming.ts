import type { Unavailable } from "../../connection/unavailable.ts";
import { Budget } from "./budget.ts";

const MIB = 1_048_576;

/** An amount up to which it counts as small. */
const SMALL = 65_536;

/** Bytes that one request for several messages may return: of unknown sizes, of known ones (4 MiB of data and what belongs to them). */
const SEVERAL = { min: SMALL, unknown: 2 * MIB, known: 4 * MIB + SMALL };

/**
 * Bytes that the server may have under way to us at the same time, over one connection: it closes the connection when more than its `max_pending`
 * (64 MiB) wait for us. What is under way also delays each reply behind it.
 */
const LARGE_BYTES = 2 * SEVERAL.known;

/** Bytes beside these that only small amounts may use, so that small calls never wait for large ones. */
const SMALL_BYTES = 4 * MIB;

/** Bytes that waiting pulls may bring, all together, as soon as there is something: they hold no part of the budget while they wait. */
const UNASKED_BYTES = 4 * MIB;

/** Bytes that one waiting pull may bring at least and at most. */
const UNASKED = { min: 16_384, max: 2 * MIB };

/** Bytes that requests may bring all together which limit the number of messages only: each of these may be as large as the server allows. */
const COUNTED_BYTES = 32 * MIB;

/** Bytes of a reply beside the message's data and headers. */
const OVERHEAD = 512;

/**
 * The one budget of bytes for all that the server may send over a connection, whether it is asked for (direct gets, batches, chunks, lists, pulls) or
 * arrives when there is something (watches, waiting workers). Before a request is sent, it acquires the bytes that its answer
 * may have. Where the size is unknown, it is estimated from the stream's latest messages, and a request for several messages sets `max_bytes`.
 */
export class Incoming {
  readonly #large = new Budget(LARGE_BYTES);
  readonly #small = new Budget(SMALL_BYTES);
  readonly #counted = new Budget(COUNTED_BYTES);
  /** Bytes that a message of each stream is expected to have. */
  readonly #expected: Map<string, number> = new Map();
  /** Waiting pulls. */
  #waiting = 0;
  readonly #largest: () => number;

  /** @param largest Bytes that a message may have at most. */
  constructor(largest: () => number) {
    this.#largest = largest;
  }

  /** Acquires an amount if that is possible at once; it must be given back. */
  tryTake(amount: number): boolean {
    return this.#of(amount).tryTake(amount);
  }

  /**
   * Acquires an amount, first come first served; it must be given back.
   *
   * @throws {Unavailable} If that is not possible by the deadline, or the session has ended.
   */
  take(amount: number, deadline: number): Promise<void> {
    return this.#of(amount).take(amount, () => deadline);
  }

  /**
   * Acquires an amount for a pull, however long that takes; `false` if it is not wanted any more, or the session has ended.
   *
   * @param isCounted Whether the pull limits the number of messages only.
   */
  async acquire(amount: number, isWanted: () => boolean, isCounted = false): Promise<boolean> {
    const budget = isCounted ? this.#counted : this.#of(amount);
    try {
      await budget.take(amount, () => Infinity);
    } catch {
      return false;
    }
    if (isWanted()) return true;
    budget.give(amount);
    return false;
  }

  /** Releases an amount. */
  give(amount: number, isCounted = false): void {
    (isCounted ? this.#counted : this.#of(amount)).give(amount);
  }

  /** Acquires an amount for as long as `work` runs. Throws as {@linkcode Incoming.take} does. */
  during<T>(amount: number, deadline: number, work: () => Promise<T>): Promise<T> {
    return this.#of(amount).during(amount, () => deadline, work);
  }

  /** Bytes that one message of a stream may bring, whose size is known or not. */
  one(stream: string, size: number = this.#expected.get(stream) ?? Infinity): number {
    // Sizes may come from data of any writer.
    return Math.min(size, this.#largest()) + OVERHEAD;
  }

  /** Bytes to request where `count` messages of a stream are wanted: at least one of a known size, else not more than a share of the budget. */
  several(stream: string, count: number, size?: number): number {
    const each = this.one(stream, size);
    const [least, most] = size === undefined ? [0, SEVERAL.unknown] : [each, SEVERAL.known];
    return Math.max(Math.min(Math.max(count * each, SEVERAL.min), most), least);
  }

  /**
   * How many messages of a stream, of `count` that are wanted, to request by their number alone, and the bytes that these have at most: not more of any
   * size than the server may have under way, and not more of the size that is expected than {@linkcode Incoming.several} gives.
   */
  counted(stream: string, count: number, size?: number): { messages: number; bytes: number } {
    const most = this.#largest() + OVERHEAD;
    const fitting = Math.min(COUNTED_BYTES / most, this.several(stream, count, size) / this.one(stream, size));
    const messages = Math.max(1, Math.min(count, Math.floor(fitting)));
    return { messages, bytes: messages * most };
  }

  /** A message of a stream has arrived. A large one is remembered for a while: where one is, there are more. */
  note(stream: string, size: number): void {
    const expected = this.#expected.get(stream);
    if (expected === undefined || size > expected) this.#expected.set(stream, size);
    else if (expected > OVERHEAD) this.#expected.set(stream, expected - Math.ceil((expected - size) / 64));
  }

  /** A pull begins to wait; gives the bytes that it may bring. */
  waits(): number {
    const share = UNASKED_BYTES / ++this.#waiting;
    return Math.floor(Math.min(Math.max(share, UNASKED.min), UNASKED.max));
  }

  /** A pull waits no longer. */
  waited(): void {
    this.#waiting--;
  }

  /** The session is over. */
  end(reason: Unavailable): void {
    this.#large.end(reason);
    this.#small.end(reason);
    this.#counted.end(reason);
  }

  #of(amount: number): Budget {
    return amount <= SMALL ? this.#small : this.#large;
  }
}
