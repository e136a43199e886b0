import { checkBoolean, checkFunction, checkSignal } from "../checks.ts";
import type { OptionNames } from "../options.ts";
import type { BucketStream } from "./bucket_stream.ts";
import type { Context } from "../wire/context.ts";
import { type FollowOptions, followStream } from "../wire/follow/follow_stream.ts";
import { listingStep } from "../wire/listing.ts";
import type { StoredMessage } from "../wire/stored_message.ts";

/**
 * What a watch gives.
 *
 * @category Buckets
 */
export interface WatchOptions {
  /**
   * Whether deleted ones are left out.
   *
   * @default {false}
   */
  ignoreDeletes?: boolean;
  /**
   * Whether it begins with the next change, not with what is there.
   *
   * @default {false}
   */
  updatesOnly?: boolean;
  /**
   * Called once, when all has been given that was there at the beginning; with `updatesOnly`, when the watch is in force. An error that it throws
   * ends the watch.
   */
  initialized?: () => void;
  /** Ends the watch, without an error. */
  signal?: AbortSignal;
}

/** All names of {@linkcode WatchOptions}. */
export const WATCH_OPTIONS: OptionNames<WatchOptions> = {
  ignoreDeletes: true,
  updatesOnly: true,
  initialized: true,
  signal: true,
};

/**
 * Checks what a watch is to give.
 *
 * @throws {TypeError} Naming the option and the rule.
 */
export function checkWatchOptions(options: WatchOptions, doing: string): void {
  const { ignoreDeletes, updatesOnly, initialized, signal } = options;
  if (ignoreDeletes !== undefined) checkBoolean(ignoreDeletes, doing, "ignoreDeletes");
  if (updatesOnly !== undefined) checkBoolean(updatesOnly, doing, "updatesOnly");
  if (initialized !== undefined) checkFunction(initialized, doing, "initialized");
  if (signal !== undefined) checkSignal(signal, doing);
}

/**
 * Follows something until `signal` aborts, the stores are closed or the iteration is ended, which it may be while it waits.
 *
 * @param what What is followed, for the message.
 * @param follow Gives what happens until its signal aborts.
 * @throws {JetStreamStoreError} `disconnected`, if there is no connection when it begins.
 */
export function watch<T>(
  context: Context,
  what: string,
  signal: AbortSignal | undefined,
  follow: (stop: AbortSignal) => AsyncIterable<T>,
): AsyncGenerator<T, void> {
  const stopping = new AbortController();
  async function* run(): AsyncGenerator<T, void> {
    // Without a connection it would look like a watch of an empty bucket.
    await listingStep(context, what, () => Promise.resolve());
    if (signal?.aborted) return;
    context.closers.add(stop);
    signal?.addEventListener("abort", stop, { once: true });
    try {
      yield* follow(stopping.signal);
    } finally {
      signal?.removeEventListener("abort", stop);
      context.closers.delete(stop);
    }
  }
  const values = run();
  const stop = async () => void await values.return();
  const finish = values.return.bind(values);
  values.return = (value) => {
    // A generator alone would first wait for what next() waits for.
    stopping.abort();
    return finish(value);
  };
  return values;
}

/** What of a bucket is watched. */
export interface BucketWatch extends Pick<WatchOptions, "initialized" | "signal"> {
  from: FollowOptions["from"];
  filter: string | readonly string[];
  headersOnly?: boolean;
}

/**
 * Follows the messages of a bucket, each as `read` makes it; what it makes `null` is left out. Each iteration is a watch of its own.
 */
export function watchBucket<T>(
  stream: BucketStream,
  { from, filter, headersOnly, initialized = () => {}, signal }: BucketWatch,
  read: (message: StoredMessage) => T | null,
): AsyncIterable<T> {
  const { context, what, name } = stream;
  const begun: FollowOptions["begun"] = ({ config }) => stream.checkKind(config);
  async function* follow(stop: AbortSignal): AsyncGenerator<T, void> {
    // A mirror has other subjects.
    const looked = await stream.attempt(async (call) => ({ info: await stream.info(call) }));
    // In a bucket that does not exist yet, all is new.
    const isAbsent = looked !== null && looked.info === null;
    const options: FollowOptions = {
      stream: name,
      filter: typeof filter === "string" ? stream.stored(filter) : filter.map((each) => stream.stored(each)),
      headersOnly,
      from: isAbsent ? "all" : from,
      begun,
    };
    let isInitialized = isAbsent;
    if (isAbsent) initialized();
    for await (const message of followStream(context, options, stop)) {
      if (message !== null) {
        const value = read(message);
        if (value !== null) yield value;
      } else if (!isInitialized) {
        isInitialized = true;
        initialized();
      }
    }
  }
  return { [Symbol.asyncIterator]: () => watch(context, what, signal, follow) };
}
