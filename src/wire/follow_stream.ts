import { delay } from "../delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "./api.ts";
import { callWithin } from "./call.ts";
import type { Context } from "./context.ts";
import type { DeliveredMessage } from "./delivered_message.ts";
import { OrderedConsumer, type OrderedOptions } from "./ordered_consumer.ts";
import type { Session } from "./session.ts";
import { type StreamInfo, streamInfo } from "./streams.ts";

/** Milliseconds between two tries to begin again; doubles from the first to the last. */
const PAUSE = { first: 50, last: 1_000 };

/** What is followed. */
export interface FollowOptions extends OrderedOptions {
  /** Where to begin the first time. */
  from: OrderedOptions["from"];
  /**
   * Whether it goes on after the last message it gave when it begins again, as long as the stream is still the same one; else it begins anew.
   *
   * @default {true}
   */
  resume?: boolean;
  /** Called each time it begins, before the messages. An error of it ends the first beginning. */
  begun?: (info: StreamInfo, session: Session, consumer: OrderedConsumer) => void;
}

/** How far a stream has been followed. */
interface Place {
  /** When the stream was made: another time, another stream. */
  created: string;
  /** Sequence of the newest message that was met. */
  seen: number;
  /** Whether all has been met that the stream kept at the beginning. */
  loaded: boolean;
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
  const { stream, from, resume = true, begun } = options;
  let place = null as Place | null;
  let complaint = "";
  // Before all has been met that was there at the beginning, to try on could mean to begin with the same again and again.
  let settled = false;
  // A stream that was not there has nothing but what is new.
  let absent = false;
  for (let pause = PAUSE.first; !stop.aborted; pause = Math.min(2 * pause, PAUSE.last)) {
    const session = await nextSession(context, stop);
    if (!session) return;
    const before = resume ? place : null;
    const next = before && (before.loaded || from !== "last") ? before.seen + 1 : null;
    const first = from === "new" && absent ? "all" : from;
    const call = callWithin(session, context.timeout);
    let consumer: OrderedConsumer | undefined;
    const close = () => consumer?.close();
    stop.addEventListener("abort", close, { once: true });
    try {
      consumer = await OrderedConsumer.open(call, { ...options, from: next ?? first });
      const info = await streamInfo(call, stream);
      if (!info) throw new Unavailable("no_responders", `The stream ${stream} has gone`);
      const { created, state: { last_seq: present } } = info;
      const same = before?.created === created && before.seen <= present ? before : null;
      if (next !== null && !same) {
        // All of it is new, so the next beginning is its first message, or the newest ones.
        place = { created, seen: 0, loaded: false };
        throw new Unavailable("lost", `The stream ${stream} was made again`);
      }
      begun?.(info, session, consumer);
      const here: Place = place = same ?? { created, seen: seenBefore(first, consumer), loaded: false };
      here.loaded ||= here.seen >= present;
      // Stopped as the consumer was being made.
      if (stop.aborted) return;
      for await (const message of consumer) {
        here.loaded ||= message === null || message.sequence >= present;
        if (here.loaded) [settled, pause] = [true, PAUSE.first];
        if (message !== null && message.sequence <= here.seen) continue;
        if (message !== null) here.seen = message.sequence;
        yield message;
      }
    } catch (error) {
      if (stop.aborted) return;
      absent ||= isServerError(error, ErrorCode.streamNotFound);
      if (!(error instanceof Unavailable || isServerError(error, ErrorCode.streamNotFound))) {
        if (!settled || !(error instanceof JetStreamStoreError)) throw error;
        if (error.message !== complaint) context.logger.warn(`${error.message}, retrying`);
        complaint = error.message;
      }
    } finally {
      stop.removeEventListener("abort", close);
      await consumer?.close();
    }
    await delay(pause, { signal: stop });
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
