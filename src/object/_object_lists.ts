import { listNewest } from "../bucket/list_messages.ts";
import {
  checkWatchOptions,
  WATCH_OPTIONS,
  watchBucket,
  type WatchOptions as ObjectWatchOptions,
} from "../bucket/watch.ts";
import { checkOptions } from "../options.ts";
import { infoReader, type ObjectInfo } from "./format/object_info.ts";
import type { ObjectStream } from "./_object_stream.ts";

/** The objects of a bucket. */
export function listObjects(stream: ObjectStream): AsyncIterable<ObjectInfo> {
  const read = infoReader(stream.context.logger);
  return listNewest(stream, stream.infoSubjects, (message) => {
    const object = read(message);
    return object?.deleted ? null : object;
  });
}

/** The objects of a bucket, and each change. */
export function watchObjects(
  stream: ObjectStream,
  given: ObjectWatchOptions | null | undefined,
): AsyncIterable<ObjectInfo> {
  const options = checkOptions(given, WATCH_OPTIONS, "watch the objects");
  checkWatchOptions(options, "watch the objects");
  const { ignoreDeletes = false, updatesOnly = false, initialized, signal } = options;
  const from = updatesOnly ? "new" : "last";
  const read = infoReader(stream.context.logger);
  return watchBucket(stream, { filter: stream.infoSubjects, from, initialized, signal }, (message) => {
    const object = read(message);
    return ignoreDeletes && object?.deleted ? null : object;
  });
}
