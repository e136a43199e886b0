import { settledWithin } from "../delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { type Budget, budgetPerSession } from "../wire/requests/budget.ts";
import { publish } from "../wire/publish.ts";
import type { Call } from "../wire/call.ts";
import { streamInfo } from "../wire/streams.ts";
import { Digest } from "./format/object_digest.ts";
import type { ObjectStream } from "./_object_stream.ts";

/** Bytes that may be on their way to the server at the same time, over one connection. */
const MAX_IN_FLIGHT_BYTES = 4 * 1024 * 1024;

/** Milliseconds after which the stream is asked for the chunks that are not confirmed. */
const CONFIRMATION_MS = 1_000;

const budgetOf = budgetPerSession(MAX_IN_FLIGHT_BYTES);

/** Stores the chunks of one object, several at a time. */
export class Upload {
  readonly #stream: string;
  readonly #subject: string;
  readonly #present: () => Call;
  readonly #budget: Budget;
  readonly #stored: (sequence: number, chunk: Uint8Array) => void;
  readonly #failed: (reason: unknown) => void;
  readonly #digest = new Digest();
  readonly #underWay: Set<Promise<void>> = new Set();
  #failure: unknown = null;
  /** Bytes that came. */
  size = 0;
  /** Number of chunks added so far. */
  chunks = 0;
  /** Whether some chunks were neither stored nor refused, and so may still reach the server. */
  unanswered = false;

  /**
   * @param present Gives the call with the deadline by which a chunk that is sent now must be confirmed.
   * @param stored Called with each chunk that is stored, and its sequence; nothing reads it any more.
   * @param failed Called with what the first chunk has met that is not stored.
   */
  constructor(
    present: () => Call,
    stream: ObjectStream,
    nuid: string,
    stored: (sequence: number, chunk: Uint8Array) => void,
    failed: (reason: unknown) => void = () => {},
  ) {
    this.#failed = failed;
    this.#stored = stored;
    this.#present = present;
    this.#stream = stream.name;
    this.#subject = stream.chunkSubject(nuid);
    this.#budget = budgetOf(present().session);
  }

  /** Sends a chunk as soon as there is room; it must not be changed any more. Throws what an earlier one has met. */
  async add(chunk: Uint8Array): Promise<void> {
    await this.#budget.take(chunk.length, () => this.#present().deadline);
    if (this.#failure !== null) {
      this.#budget.give(chunk.length);
      throw this.#failure;
    }
    this.#digest.update(chunk);
    this.size += chunk.length;
    this.chunks++;
    const sent = this.#send(chunk).finally(() => {
      this.#budget.give(chunk.length);
      this.#underWay.delete(sent);
    });
    this.#underWay.add(sent);
  }

  /** Waits until all chunks are confirmed, and gives their digest; throws what one has met. */
  async end(): Promise<string> {
    // A chunk is never sent twice, as they would lie in another order then. But a confirmation may be lost.
    while (!await settledWithin(this.settled(), CONFIRMATION_MS) && !await this.#areStored());
    if (this.#failure !== null) throw this.#failure;
    return this.#digest.end();
  }

  /** Waits until nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #areStored(): Promise<boolean> {
    const query = { subjects_filter: this.#subject };
    const info = await streamInfo(this.#present(), this.#stream, query);
    return info?.state.subjects?.[this.#subject] === this.chunks;
  }

  async #send(chunk: Uint8Array): Promise<void> {
    try {
      const { seq } = await publish(this.#present(), this.#subject, chunk);
      this.#stored(seq, chunk);
    } catch (error) {
      this.unanswered ||= error instanceof Unavailable && error.reason !== "no_responders";
      if (this.#failure !== null) return;
      this.#failure = error;
      this.#failed(error);
    }
  }
}
