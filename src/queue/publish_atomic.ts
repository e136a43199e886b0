import { nuid } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import { HeaderBlock } from "../wire/headers.ts";
import { insist } from "../wire/insist.ts";
import { type PubAck, publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { findJobMessage } from "./find_job.ts";
import { parseJobHeaders } from "./job_headers.ts";
import { type JobPublisher, type JobReceipt, uniqueHeaders } from "./publish_job.ts";
import type { PreparedJob } from "./publish_options.ts";
import type { QueueNames } from "./queue_names.ts";

/** Jobs that the server takes as one batch. */
export const BATCH = 1_000;

/** The server refused a batch because of one of its jobs: its id is in the queue, or its message id is remembered. */
const REFUSED: ReadonlySet<number | undefined> = new Set([10071, 10164, 10201]);

/** What one call has done so far. */
export interface BatchCall {
  /** Batches that were sent; the answer of each may have been lost. */
  tries: number;
}

/**
 * Stores jobs as one batch (ADR-50): all of them or none. Jobs whose ids are in the queue already are duplicates, and left out.
 *
 * @param jobs At most {@linkcode BATCH}, with ids that differ.
 * @param call What an earlier attempt of this call, over a connection that broke, has left: it may have stored the batch.
 */
export async function publishAtomic(
  session: Session,
  names: QueueNames,
  publisher: JobPublisher,
  jobs: readonly PreparedJob[],
  deadline: number,
  call: BatchCall,
): Promise<JobReceipt[]> {
  session.server.require("2.12", "Publishing jobs as one batch");
  const receipts = new Map<PreparedJob, JobReceipt>();
  const queue = names.queue;
  for (let rest = [...jobs]; rest.length > 0; rest = rest.filter((job) => !receipts.has(job))) {
    try {
      const ack = await insist(deadline, (deadline) => {
        call.tries++;
        return sendBatch(session, names, rest, deadline, call.tries > 1);
      });
      rest.forEach(({ id }, i) =>
        receipts.set(rest[i], { id, queue, sequence: ack.seq - rest.length + 1 + i, duplicate: false })
      );
    } catch (error) {
      await publisher.remakeIfGone(session, error, rest.some((job) => job.keyed), deadline);
      if (!(error instanceof JetStreamStoreError) || !REFUSED.has(error.serverCode)) throw error;
      const found = await Promise.all(rest.map((job) => findJobMessage(session, names, job.token, deadline)));
      const own = found.map((message, i) =>
        message !== null && parseJobHeaders(message.headers()).nonce === rest[i].nonce
      );
      // An earlier try was stored and its answer lost: publishing one of its jobs again only asks for its receipt.
      const stored = call.tries > 1 && (own.includes(true) || found.every((message) => message === null));
      const asked = stored
        ? rest
        : found.some((message) => message !== null)
        ? []
        : rest.filter((job) => job.repeatable);
      if (!stored) {
        found.forEach((message, i) => {
          if (message) receipts.set(rest[i], { id: rest[i].id, queue, sequence: message.sequence, duplicate: true });
        });
      }
      const told = await Promise.all(asked.map((job) => publisher.publish(session, job, deadline, { tried: true })));
      asked.forEach((job, i) => receipts.set(job, told[i]));
      if (told.length === 0 && receipts.size === jobs.length - rest.length) throw error;
    }
  }
  return jobs.map((job) => receipts.get(job)!);
}

function sendBatch(
  session: Session,
  names: QueueNames,
  jobs: readonly PreparedJob[],
  deadline: number,
  again: boolean,
): Promise<PubAck> {
  const batch = nuid.next();
  const headersOf = (job: PreparedJob, place: number) =>
    new HeaderBlock([
      ...job.headers,
      ...uniqueHeaders(names, job, again),
      ["Nats-Batch-Id", batch],
      ["Nats-Batch-Sequence", String(place)],
      ...(place === jobs.length ? [["Nats-Batch-Commit", "1"] as [string, string]] : []),
    ]);
  jobs.slice(0, -1).forEach((job, i) => session.send(job.subject, job.payload, { headers: headersOf(job, i + 1) }));
  const last = jobs[jobs.length - 1];
  return publish(session, last.subject, last.payload, deadline, headersOf(last, jobs.length));
}
