import type { QueueContext } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import { deleteStream, mayBeRemoved, type StreamConfig, streamInfo, unknownRemoval } from "../../wire/streams.ts";
import { removePermits } from "../store/rate_permits.ts";
import { isDeadLetterStream, isJobStream, isResultsStream, notOfQueue } from "../store/stream_kinds.ts";

/**
 * Removes the streams of a queue that are known to be its own; returns whether there was a queue.
 *
 * @throws {JetStreamStoreError} `wrong_kind`, if the stream of that name is not a queue.
 */
export async function destroyQueue(call: Call, { names, stream }: QueueContext): Promise<boolean> {
  stream.forget();
  const jobs = await streamInfo(call, names.stream);
  if (jobs && !isJobStream(jobs.config, names)) throw notOfQueue(names.stream, "the jobs", names);
  const remove = async (name: string, isOwn: (config: StreamConfig) => boolean | Promise<boolean>) => {
    const info = await streamInfo(call, name);
    if (info && await isOwn(info.config)) await deleteStream(call, name);
  };
  const destroyed = jobs !== null && await deleteStream(call, names.stream);
  await remove(names.deadStream, (config) => isDeadLetterStream(config, names));
  await remove(names.resultsStream, (config) => isResultsStream(call, config, names));
  await removePermits(call, names);
  if (!destroyed && mayBeRemoved(call, "stream", names.stream)) throw unknownRemoval();
  return destroyed;
}
