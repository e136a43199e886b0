import { delay } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "./api.ts";
import type { Context } from "./context.ts";
import type { DeliveredMessage } from "./delivered_message.ts";
import { OrderedConsumer, type OrderedOptions } from "./ordered_consumer.ts";
import type { Session } from "./session.ts";
import { type StreamInfo, streamInfo } from "./streams.ts";

/** Milliseconds between two tries to begin again; doubles from the first to the last. */
const PAUSE = { first: 50, last: 1_000 };

/** What a follower gives. */
export interface FollowOptions extends OrderedOptions {
  /** Where to begin the first time. */
  from: "last" | "all" | "new";
  /**
   * Whether it goes on after the last message it gave when it begins again, as long as the stream is still the same one; else it begins anew.
   *
   * @default {true}
   */
  resume?: boolean;
  /**
   * Called each time it begins, before the messages. An error of it ends the first beginning.
   *
   * @param asked The moment (of `performance.now()`) at which the state was asked for.
   */
  begun?: (info: StreamInfo, asked: number) => void;
}

/**
 * Follows the messages of a stream for ever: begins again by itself when its consumer or its stream has gone, the server is another or the
 * connection is back. It ends, without an error, when it is stopped or the connection is closed by its owner, and throws what is refused for good.
 */
export class StreamFollower implements AsyncIterable<DeliveredMessage> {
  readonly #context: Context;
  readonly #options: FollowOptions;
  readonly #stopping = new AbortController();
  #consumer: OrderedConsumer | null = null;
  #place: Place | null = null;
  #started = false;

  constructor(context: Context, options: FollowOptions) {
    this.#context = context;
    this.#options = options;
  }

  /**
   * Whether it has given what the stream kept when it began, and the server would have told of anything newer: `"current"` says so of what it has
   * given, `"complete"` also of what it has not. (A subject that is written again before its turn comes moves to the end; at the end of a stream
   * that is written all the time one arrives late.)
   */
  get state(): "behind" | "current" | "complete" {
    // While it begins again the place is still that of the consumer before.
    if (!this.#place || this.#place.consumer !== this.#consumer) return "behind";
    if (!isLoaded(this.#place) || !this.#consumer.alive) return "behind";
    return this.#place.complete ? "complete" : "current";
  }

  /** Ends the iteration; resolves when its consumer is removed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#consumer?.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DeliveredMessage, void> {
    const stop = () => this.stop();
    this.#context.closers.add(stop);
    try {
      yield* this.#follow();
    } finally {
      this.#context.closers.delete(stop);
    }
  }

  async *#follow(): AsyncGenerator<DeliveredMessage, void> {
    const { signal } = this.#stopping;
    let complaint = "";
    for (let pause = PAUSE.first; !signal.aborted; pause = Math.min(2 * pause, PAUSE.last)) {
      const session = await this.#nextSession();
      if (!session) return;
      try {
        const consumer = await this.#begin(session);
        // Stopped as the consumer was being made.
        if (signal.aborted) return;
        const place = this.#place!;
        pause = PAUSE.first;
        for await (const message of consumer) {
          if (message === null) place.complete = true;
          else if (message.sequence > place.seen) {
            place.seen = message.sequence;
            yield message;
            place.given = message.sequence;
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Unavailable || isServerError(error, ErrorCode.streamNotFound))) {
          if (!this.#started || !(error instanceof JetStreamStoreError)) throw error;
          if (error.message !== complaint) this.#context.logger.warn(`${error.message}. Trying on`);
          complaint = error.message;
        }
      } finally {
        await this.#consumer?.close();
        this.#consumer = null;
      }
      await delay(pause, { signal });
    }
  }

  /** Makes the consumer, at the place where the last one ended if that is still a place of this stream. */
  async #begin(session: Session): Promise<OrderedConsumer> {
    const { stream, from, resume = true, begun } = this.#options;
    const deadline = performance.now() + this.#context.timeout;
    const place = this.#place;
    const going = place !== null && resume && (isLoaded(place) || from !== "last");
    const start = going ? place.seen + 1 : place !== null && from === "new" ? "last" : from;
    const consumer = this.#consumer = await OrderedConsumer.open(session, { ...this.#options, from: start }, deadline);
    const asked = performance.now();
    const info = await streamInfo(session, stream, deadline);
    if (!info) throw new Unavailable("no_responders", `The stream ${stream} has gone`);
    const same = resume && place?.created === info.created && place.seen <= info.state.last_seq;
    const seen = same ? place.seen : start === "new" ? consumer.floor : 0;
    this.#place = { consumer, created: info.created, seen, given: seen, present: info.state.last_seq, complete: false };
    if (going && !same) {
      await consumer.close();
      return await this.#begin(session);
    }
    begun?.(info, asked);
    this.#started = true;
    return consumer;
  }

  #nextSession(): Promise<Session | null> {
    const { signal } = this.#stopping;
    const { promise, resolve } = Promise.withResolvers<Session | null>();
    const stopped = () => resolve(null);
    if (signal.aborted) stopped();
    signal.addEventListener("abort", stopped, { once: true });
    const unfollow = this.#context.connection.follow(resolve);
    return promise.finally(() => {
      unfollow();
      signal.removeEventListener("abort", stopped);
    });
  }
}

/** How far a follower is. */
interface Place {
  consumer: OrderedConsumer;
  /** When its stream was made: another time, another stream. */
  created: string;
  /** Sequence of the newest message that it has met. */
  seen: number;
  /** Sequence of the newest message that it has given, and that was taken. */
  given: number;
  /** Sequence of the newest message when it began. */
  present: number;
  /** Whether there was nothing more to give at some time since. */
  complete: boolean;
}

function isLoaded({ given, present, complete }: Place): boolean {
  return complete || given >= present;
}
