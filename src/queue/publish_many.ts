import { nuid } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import type { OptionNames } from "../options.ts";
import { budgetPerSession } from "../wire/budget.ts";
import { HeaderBlock } from "../wire/headers.ts";
import { insist } from "../wire/insist.ts";
import { type PubAck, publish } from "../wire/publish.ts";
import { findJobMessage } from "./find_job.ts";
import { type HeaderList, parseJobHeaders } from "./job_headers.ts";
import { jobBytes } from "./job_size.ts";
import { type JobPublisher, type JobReceipt, uniqueHeaders } from "./publish_job.ts";
import type { PreparedJob } from "./publish_options.ts";
import { callQueue, type QueueCall } from "./queue_call.ts";
import type { QueueParts } from "./queue_parts.ts";

/** Options of {@linkcode JobQueue.publishMany}. */
export interface PublishManyOptions {
  /**
   * Whether the jobs are stored in batches of up to 1000, each as a whole or not at all; needs nats-server 2.12. If the server refuses a batch for
   * good no more are sent, and the error tells how many jobs are stored; with ids, a repeat of the call finds them as duplicates. Otherwise each
   * job is stored by itself, all of them at once, which is as fast.
   *
   * @default {false}
   */
  atomic?: boolean;
}

/** All names of {@linkcode PublishManyOptions}. */
export const MANY_OPTIONS: OptionNames<PublishManyOptions> = { atomic: true };

/** Jobs that the server takes as one batch. */
const BATCH = 1_000;

/**
 * Batches that are under way at the same time over one connection. The server has a limit, too; and it syncs the disk for each, and answers none as long as
 * more are coming, so the answers of hundreds would come too late.
 */
const BATCHES = 4;

const budgetOf = budgetPerSession(BATCHES);

/** The server refused a batch because of one of its jobs: its id is in the queue, or its message id is remembered. */
const REFUSED: ReadonlySet<number | undefined> = new Set([10071, 10164, 10201]);

/** A batch, and how often it was sent: the answer of each time may have been lost. */
interface Batch {
  jobs: readonly PreparedJob[];
  tries: number;
}

/**
 * Publishes jobs that are ready as batches; a batch that is not confirmed is `null` for all of its jobs.
 *
 * @throws {JetStreamStoreError} If the server refuses a batch for good: when those that were under way have their answers.
 */
export async function publishBatches(
  parts: QueueParts,
  jobs: readonly PreparedJob[],
): Promise<(JobReceipt | null)[]> {
  const receipts = new Map<string, JobReceipt | null>();
  // Two equal ids in one batch would both be stored.
  const first = new Map(jobs.toReversed().map((job) => [job.token, job]));
  const unique = [...first.values()].reverse();
  const batches = Array.from(
    { length: Math.ceil(unique.length / BATCH) },
    (_, i): Batch => ({ jobs: unique.slice(i * BATCH, (i + 1) * BATCH), tries: 0 }),
  );
  const work = batches.values();
  const refusals: unknown[] = [];
  await Promise.all(Array.from({ length: BATCHES }, async () => {
    for (const batch of work) {
      if (refusals.length > 0) return;
      try {
        const bytes = batch.jobs.reduce((sum, job) => sum + jobBytes(job), 0);
        const store = (call: QueueCall) =>
          budgetOf(call.session).during(1, () => call.deadline, () => {
            const send = () => storeBatch(call, parts.publisher, batch);
            return batch.tries > 0 ? send() : parts.stream.publishWithin(call, bytes, batch.jobs.length, send);
          });
        const done = await callQueue(parts, store, { persist: true });
        batch.jobs.forEach((job, i) => receipts.set(job.token, done?.[i] ?? null));
      } catch (error) {
        refusals.push(error);
      }
    }
  }));
  if (refusals.length > 0) {
    const stored = jobs.filter((job) => receipts.get(job.token)).length;
    throw stored > 0 ? withCount(refusals[0], `${stored} of ${jobs.length} jobs are stored`) : refusals[0];
  }
  return jobs.map((job) => {
    const receipt = receipts.get(job.token) ?? null;
    return receipt && first.get(job.token) !== job ? { ...receipt, duplicate: true } : receipt;
  });
}

/** Stores jobs, whose ids differ, as one batch (ADR-50): all of them or none. Those whose ids are in the queue are duplicates, and left out. */
async function storeBatch(call: QueueCall, publisher: JobPublisher, batch: Batch): Promise<JobReceipt[]> {
  const { session, deadline, names } = call;
  session.server.require("2.12", "Publishing jobs as one batch");
  const receipts = new Map<PreparedJob, JobReceipt>();
  const note = (job: PreparedJob, sequence: number, duplicate: boolean) =>
    receipts.set(job, { id: job.id, queue: names.queue, sequence, duplicate });
  for (let rest = [...batch.jobs]; rest.length > 0; rest = rest.filter((job) => !receipts.has(job))) {
    try {
      const ack = await insist(deadline, (deadline) => sendBatch({ ...call, deadline }, rest, ++batch.tries > 1));
      rest.forEach((job, i) => note(job, ack.seq - rest.length + 1 + i, false));
    } catch (error) {
      await publisher.remakeIfGone(session, error, rest.some((job) => job.keyed), deadline);
      if (!(error instanceof JetStreamStoreError) || !REFUSED.has(error.serverCode)) throw error;
      const found = await Promise.all(rest.map((job) => findJobMessage(call, job.token)));
      const own = found.map((message, i) =>
        message !== null && parseJobHeaders(message.headers()).nonce === rest[i].nonce
      );
      // An earlier try was stored and its answer lost: publishing one of its jobs again only asks for its receipt.
      const stored = batch.tries > 1 && (own.includes(true) || found.every((message) => message === null));
      const asked = stored
        ? rest
        : found.some((message) => message !== null)
        ? []
        : rest.filter((job) => job.repeatable);
      if (!stored) found.forEach((message, i) => message && note(rest[i], message.sequence, true));
      const told = await Promise.all(asked.map((job) => publisher.send(session, job, deadline, { tried: true })));
      asked.forEach((job, i) => receipts.set(job, told[i]));
      if (told.length === 0 && receipts.size === batch.jobs.length - rest.length) throw error;
    }
  }
  return batch.jobs.map((job) => receipts.get(job)!);
}

function sendBatch({ session, names, deadline }: QueueCall, jobs: PreparedJob[], again: boolean): Promise<PubAck> {
  const id = nuid.next();
  const headersOf = (job: PreparedJob, place: number) => {
    const headers: HeaderList = [["Nats-Batch-Id", id], ["Nats-Batch-Sequence", String(place)]];
    if (place === jobs.length) headers.push(["Nats-Batch-Commit", "1"]);
    return new HeaderBlock(uniqueHeaders(names, job, again), job.headers, headers);
  };
  jobs.slice(0, -1).forEach((job, i) => session.send(job.subject, job.payload, { headers: headersOf(job, i + 1) }));
  const last = jobs[jobs.length - 1];
  return publish(session, last.subject, last.payload, deadline, headersOf(last, jobs.length));
}

function withCount(refusal: unknown, count: string): unknown {
  if (!(refusal instanceof JetStreamStoreError)) return refusal;
  const { code, message, serverCode } = refusal;
  return new JetStreamStoreError(code, `${message}; ${count}`, { cause: refusal, serverCode });
}
