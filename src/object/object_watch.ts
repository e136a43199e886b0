import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import type { Context } from "../wire/context.ts";
import { listingStep } from "../wire/listing.ts";
import { OrderedConsumer } from "../wire/ordered_consumer.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { StreamFollower } from "../wire/stream_follower.ts";
import { type ObjectInfo, objectInfo, parseMeta } from "./object_info.ts";
import type { ObjectStream } from "./object_stream.ts";

/** What a watch gives. */
export interface ObjectWatchOptions {
  /**
   * Whether deleted objects are left out.
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
  /** Ends the watch, without an error. */
  signal?: AbortSignal;
}

/** The objects of a bucket, each as it is when the list comes to it. */
export async function* listObjects(context: Context, stream: ObjectStream): AsyncGenerator<ObjectInfo, void> {
  const listing = `The bucket "${stream.bucket}"`;
  const options = { stream: stream.name, filter: stream.records, from: "last" } as const;
  const consumer = await listingStep(
    context,
    listing,
    (session, deadline) =>
      OrderedConsumer.open(session, options, deadline).catch((error) => {
        if (isServerError(error, ErrorCode.streamNotFound)) return null;
        throw error;
      }),
  );
  if (!consumer) return;
  try {
    for await (const message of consumer) {
      if (message === null) return;
      const object = readInfo(context, message);
      if (object && !object.deleted) yield object;
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new JetStreamStoreError("disconnected", `${listing} broke off as it was listed: ${error.message}`, {
      cause: error,
    });
  } finally {
    await consumer.close();
  }
}

/** Watches the objects of a bucket: each iteration is a watch of its own. */
export class ObjectWatch implements AsyncIterable<ObjectInfo> {
  readonly #context: Context;
  readonly #stream: ObjectStream;
  readonly #options: ObjectWatchOptions;

  constructor(context: Context, stream: ObjectStream, options: ObjectWatchOptions) {
    this.#context = context;
    this.#stream = stream;
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncIterator<ObjectInfo, void> {
    const { updatesOnly = false } = this.#options;
    const follower = new StreamFollower(this.#context, {
      stream: this.#stream.name,
      filter: this.#stream.records,
      from: updatesOnly ? "new" : "last",
      begun: ({ config }) => this.#stream.checkKind(config),
    });
    const objects = this.#objects(follower);
    return {
      next: () => objects.next(),
      // Also while next() waits.
      return: async () => {
        await follower.stop();
        return await objects.return();
      },
    };
  }

  async *#objects(follower: StreamFollower): AsyncGenerator<ObjectInfo, void> {
    const { ignoreDeletes = false, signal } = this.#options;
    await listingStep(this.#context, `The bucket "${this.#stream.bucket}"`, () => Promise.resolve());
    if (signal?.aborted) return;
    const stop = () => void follower.stop();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      for await (const message of follower) {
        const object = readInfo(this.#context, message);
        if (object && !(ignoreDeletes && object.deleted)) yield object;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }
}

/** What a record says; one that cannot be read is left out, and told of. */
function readInfo(context: Context, message: StoredMessage): ObjectInfo | null {
  try {
    return objectInfo(parseMeta(message.subject, message), message.time);
  } catch (error) {
    context.logger.warn(error instanceof Error ? error.message : String(error));
    return null;
  }
}
