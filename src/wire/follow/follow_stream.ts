import { delay } from "../../delay.ts";
import { LimitedLog } from "../../connection/limited_log.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { ErrorCode, isServerError } from "../api.ts";
import { callWithin } from "../call.ts";
import type { Context } from "../context.ts";
import type { DeliveredMessage } from "./_delivered_message.ts";
import { OrderedConsumer, type OrderedOptions } from "./ordered_consumer.ts";
import type { Session } from "../session.ts";
import { type StreamInfo, streamInfo } from "../streams.ts";

/** Milliseconds between two attempts to begin again; doubles from the first to the last. */
const RETRY_DELAY_MS = { first: 50, last: 1_000 };

/** What is followed. */
export interface FollowOptions extends OrderedOptions {
  /** Where to begin the first time. */
  from: OrderedOptions["from"];
  /**
   * Whether it continues after the last message it gave when it begins again, as long as the stream is still the same one; else it begins anew.
   *
   * @default {true}
   */
  resume?: boolean;
  /**
   * Called each time it begins, before the messages. An error of it ends the first beginning.
   *
   * @param goesOn Whether it goes on right behind the last message that it gave, with another consumer.
   */
  begun?: (info: StreamInfo, session: Session, consumer: OrderedConsumer, goesOn: boolean) => void;
}

/**
 * Follows the messages of a stream for ever: begins again by itself when its consumer or its stream has gone, the server is another or the
 * connection is back. `null` comes where there is nothing more to give, once after each beginning. It ends, without an error, when `stop` aborts,
 * and throws what is refused for good.
 */
export async function* followStream(
  context: Context,
  options: FollowOptions,
  stop: AbortSignal,
): AsyncGenerator<DeliveredMessage | null, void> {
  const followed = new FollowedStream(context, options);
  for (let pause = RETRY_DELAY_MS.first; !stop.aborted; pause = Math.min(2 * pause, RETRY_DELAY_MS.last)) {
    const session = await nextSession(context, stop);
    if (!session) return;
    let consumer: OrderedConsumer | undefined;
    const close = () => consumer?.close();
    stop.addEventListener("abort", close, { once: true });
    try {
      consumer = await followed.open(session);
      // Stopped as the consumer was being made.
      if (stop.aborted) return;
      for await (const message of consumer) {
        if (message === null && followed.isCut()) break;
        const isNew = followed.meet(message);
        if (followed.isLoaded) pause = RETRY_DELAY_MS.first;
        if (isNew) yield message;
      }
    } catch (error) {
      if (stop.aborted) return;
      followed.fail(error);
    } finally {
      stop.removeEventListener("abort", close);
      await consumer?.close();
    }
    if (!followed.goesOn) await delay(pause, { signal: stop });
  }
}

/** How far a stream has been followed, over all its consumers. */
class FollowedStream {
  readonly #context: Context;
  readonly #options: FollowOptions;
  /** When the stream was made, and the sequence of its newest message that was met. Another time, another stream. */
  #place: { created: string; seen: number } | null = null;
  /** Sequence of the newest message when the present consumer was made. */
  #present = 0;
  /** Whether the server goes by a list of the newest messages, as it does where the stream keeps several of a subject. */
  #isListed = false;
  /** Whether the next consumer goes on right behind the last message that was met. */
  goesOn = false;
  /** Whether all has been met that the stream kept when it was opened. */
  isLoaded = false;
  /** Before that, to retry could mean to begin with the same messages again and again. */
  #wasLoaded = false;
  /** A stream that was not there has nothing but what is new. */
  #wasAbsent = false;
  readonly #log: LimitedLog;

  constructor(context: Context, options: FollowOptions) {
    this.#context = context;
    this.#options = options;
    this.#log = new LimitedLog(context.logger);
  }

  /** Makes a consumer that continues after the last message that was met, or begins anew. */
  async open(session: Session): Promise<OrderedConsumer> {
    const { stream, from, resume = true } = this.#options;
    const { goesOn } = this;
    this.goesOn = false;
    const before = resume || goesOn ? this.#place : null;
    const next = before && (this.isLoaded || goesOn || from !== "last") ? before.seen + 1 : null;
    const first = from === "new" && this.#wasAbsent ? "all" : from;
    const call = callWithin(session, this.#context.timeout);
    const consumer = await OrderedConsumer.open(call, { ...this.#options, from: next ?? first });
    try {
      const info = await streamInfo(call, stream);
      this.#wasAbsent ||= info === null;
      if (!info) throw new Unavailable("no_responders", `The stream ${stream} has gone`);
      const { created, config, state: { last_seq: present } } = info;
      this.#isListed = next === null && first === "last" && config.max_msgs_per_subject !== 1;
      if (!this.#isListed) consumer.keepsNoHistory();
      const isSame = before?.created === created && before.seen <= present;
      if (!isSame) this.#begin(created, next === null ? seenBefore(first, consumer) : 0);
      if (!isSame && next !== null) {
        // All of it is new, so the next beginning is its first message, or the newest ones.
        throw new Unavailable("lost", `The stream ${stream} was made again`);
      }
      this.#options.begun?.(info, session, consumer, goesOn);
      this.#present = present;
      this.isLoaded ||= this.#place!.seen >= present;
      return consumer;
    } catch (error) {
      await consumer.close();
      throw error;
    }
  }

  #begin(created: string, seen: number): void {
    this.#place = { created, seen };
    this.isLoaded = false;
  }

  /**
   * Whether there may be more although the server says that there is not: while messages of a list are removed it counts too few that are left, and
   * stops at each that has gone. All up to the last one was given: what is behind it is as well followed without a list.
   */
  isCut(): boolean {
    return this.goesOn = this.#isListed && this.#place!.seen < this.#present;
  }

  /** Whether a message was not met before. */
  meet(message: DeliveredMessage | null): boolean {
    this.isLoaded ||= message === null || message.sequence >= this.#present;
    this.#wasLoaded ||= this.isLoaded;
    if (message === null) return true;
    if (message.sequence <= this.#place!.seen) return false;
    this.#place!.seen = message.sequence;
    return true;
  }

  /** @throws What is refused for good. */
  fail(error: unknown): void {
    const isAbsent = isServerError(error, ErrorCode.streamNotFound);
    this.#wasAbsent ||= isAbsent;
    if (error instanceof Unavailable || isAbsent) return;
    if (!this.#wasLoaded || !(error instanceof JetStreamStoreError)) throw error;
    this.#log.warnNew(error.message, `${error.message}, retrying`);
  }
}

/** Sequence of the last message before the first one that is given. */
function seenBefore(from: FollowOptions["from"], consumer: OrderedConsumer): number {
  if (typeof from === "number") return from - 1;
  return from === "new" ? consumer.floor : 0;
}

function nextSession({ connection }: Context, stop: AbortSignal): Promise<Session | null> {
  const { promise, resolve } = Promise.withResolvers<Session | null>();
  const stopped = () => resolve(null);
  stop.addEventListener("abort", stopped, { once: true });
  const unfollow = connection.follow(resolve);
  return promise.finally(() => {
    unfollow();
    stop.removeEventListener("abort", stopped);
  });
}
