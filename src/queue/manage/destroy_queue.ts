import { deleteStream, type StreamConfig, streamInfo } from "../../wire/streams.ts";
import type { QueueCall } from "../store/queue_call.ts";
import { isDeadLetterStream, isJobStream, isResultsStream, notOfQueue } from "../store/stream_kinds.ts";

/**
 * Removes the streams of a queue that are known to be its own; tells whether there was a queue.
 *
 * @throws {JetStreamStoreError} `wrong_kind`, if the stream of that name is not a queue.
 */
export async function destroyQueue({ session, deadline, names, stream }: QueueCall): Promise<boolean> {
  stream.forget();
  const jobs = await streamInfo(session, names.stream, deadline);
  if (jobs && !isJobStream(jobs.config, names)) throw notOfQueue(names.stream, "the jobs", names);
  const remove = async (name: string, isOwn: (config: StreamConfig) => boolean | Promise<boolean>) => {
    const info = await streamInfo(session, name, deadline);
    if (info && await isOwn(info.config)) await deleteStream(session, name, deadline);
  };
  const destroyed = jobs !== null && await deleteStream(session, names.stream, deadline);
  await remove(names.deadStream, (config) => isDeadLetterStream(config, names));
  await remove(names.resultsStream, (config) => isResultsStream(session, config, names, deadline));
  return destroyed;
}
