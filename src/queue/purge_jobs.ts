import type { Session } from "../wire/session.ts";
import { StreamReader } from "../wire/stream_reader.ts";
import { deleteMessage, purgeStream } from "../wire/streams.ts";
import { findJobMessage } from "./find_job.ts";
import { PRIORITIES, type QueueNames, tokenOf } from "./queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";

/** Removes all jobs, in whatever state; returns how many. */
export async function purgeJobs(
  session: Session,
  names: QueueNames,
  stream: QueueStream,
  deadline: number,
): Promise<number> {
  await Promise.all(PRIORITIES.map((priority) => removeReplaced(session, names, stream, priority, deadline)));
  // At one stroke: no job passes from one place to another meanwhile. And it is wider than the filters of the durable consumers: only then does
  // the server count on right.
  return await purgeStream(session, names.stream, { filter: names.idFilter("*") }, deadline);
}

/** Removes the messages of running jobs that have been put back as new ones, and would count twice. */
async function removeReplaced(
  session: Session,
  names: QueueNames,
  stream: QueueStream,
  priority: string,
  deadline: number,
): Promise<void> {
  const consumer = await stream.consumerInfo(session, priority, deadline);
  if (!consumer || consumer.num_ack_pending === 0) return;
  const { delivered, config } = consumer;
  const reader = new StreamReader(names.stream);
  for (let seq = 1; seq <= delivered.stream_seq;) {
    const page = await reader.page(session, { seq, next_by_subj: config.filter_subject, batch: 256 }, deadline);
    if (page.length === 0) return;
    await Promise.all(page.map(async ({ subject, sequence }) => {
      if (sequence > delivered.stream_seq) return;
      const newest = await findJobMessage(session, names, tokenOf(subject), deadline);
      if (newest && newest.sequence > sequence) await deleteMessage(session, names.stream, sequence, deadline);
    }));
    seq = page[page.length - 1].sequence + 1;
  }
}
