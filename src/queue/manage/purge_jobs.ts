import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { messagePages } from "../../wire/message_pages.ts";
import { StreamReader } from "../../wire/stream_reader.ts";
import { deleteMessage, mayBeRemoved, purgeStream, streamInfo, unknownRemoval } from "../../wire/streams.ts";
import { consumerInfo } from "../store/durable_consumer.ts";
import { findJobMessage } from "../store/find_job.ts";
import { PRIORITIES, tokenOf } from "../format/queue_names.ts";
import { isJobStream, notOfQueue } from "../store/stream_kinds.ts";

/**
 * Removes all jobs, in whatever state; returns how many.
 *
 * @throws {JetStreamStoreError} `wrong_kind`, if the stream of that name is not a queue.
 */
export async function purgeJobs(call: Call, names: QueueNames): Promise<number> {
  const info = await streamInfo(call, names.stream);
  if (!info) return 0;
  if (!isJobStream(info.config, names)) throw notOfQueue(names.stream, "the jobs", names);
  await Promise.all(PRIORITIES.map((priority) => removeSuperseded(call, names, priority)));
  // At one stroke: no job passes from one place to another meanwhile. And it is wider than the filters of the durable consumers: only then does
  // the server count on right.
  const isTried = mayBeRemoved(call, "messages", names.stream);
  const purged = await purgeStream(call, names.stream, { filter: names.idFilter("*") });
  if (isTried) throw unknownRemoval();
  return purged;
}

/** Removes the messages of running jobs that have been put back as new ones, and would count twice. */
async function removeSuperseded(call: Call, names: QueueNames, priority: string): Promise<void> {
  const consumer = await consumerInfo(call, names, priority);
  if (!consumer || consumer.num_ack_pending === 0) return;
  const { delivered, config } = consumer;
  const reader = new StreamReader(names.stream);
  const pageFrom = (seq: number) => reader.page(call, { seq, next_by_subj: config.filter_subject, batch: 256 });
  for await (const page of messagePages(pageFrom, 1, delivered.stream_seq)) {
    await Promise.all(page.map(async ({ subject, sequence }) => {
      if (sequence > delivered.stream_seq) return;
      const newest = await findJobMessage(call, names, tokenOf(subject));
      if (newest && newest.sequence > sequence) await deleteMessage(call, names.stream, sequence);
    }));
  }
}
