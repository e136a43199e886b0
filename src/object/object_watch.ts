import type { Context } from "../wire/context.ts";
import { listNewest } from "../wire/list_messages.ts";
import { listingStep } from "../wire/listing.ts";
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

/** The objects that a bucket has. */
export async function* listObjects(context: Context, stream: ObjectStream): AsyncGenerator<ObjectInfo, void> {
  const { name, records: filter, what } = stream;
  const check = stream.checkKind.bind(stream);
  for await (const message of listNewest(context, { stream: name, filter, what, check })) {
    const object = readInfo(context, message);
    if (object && !object.deleted) yield object;
  }
}

/** Watches the objects of a bucket. */
export function watchObjects(
  context: Context,
  stream: ObjectStream,
  options: ObjectWatchOptions,
): AsyncIterator<ObjectInfo, void> {
  const follower = new StreamFollower(context, {
    stream: stream.name,
    filter: stream.records,
    from: options.updatesOnly ? "new" : "last",
    begun: ({ config }) => stream.checkKind(config),
  });
  const objects = followObjects(context, stream, follower, options);
  return {
    next: () => objects.next(),
    // Also while next() waits.
    return: async () => {
      await follower.stop();
      return await objects.return();
    },
  };
}

async function* followObjects(
  context: Context,
  stream: ObjectStream,
  follower: StreamFollower,
  { ignoreDeletes = false, signal }: ObjectWatchOptions,
): AsyncGenerator<ObjectInfo, void> {
  // Without a connection it could not be told from a watch of nothing.
  await listingStep(context, stream.what, () => Promise.resolve());
  if (signal?.aborted) return;
  const stop = () => void follower.stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for await (const message of follower) {
      const object = readInfo(context, message);
      if (object && !(ignoreDeletes && object.deleted)) yield object;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** What a record says; one that cannot be read is left out, and told of. */
function readInfo(context: Context, message: StoredMessage): ObjectInfo | null {
  try {
    return objectInfo(parseMeta(message), message.time);
  } catch (error) {
    context.logger.warn(error instanceof Error ? error.message : String(error));
    return null;
  }
}
