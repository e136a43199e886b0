import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { JetStreamStoreError } from "../../errors.ts";
import type { OptionNames } from "../../options.ts";
import { ErrorCode, isServerError } from "../../wire/api.ts";
import { budgetPerSession } from "../../wire/requests/budget.ts";
import { mayBeStored } from "../../wire/publish.ts";
import { type BatchMessage, MAX_BATCH, publishBatch } from "../../wire/publish_batch.ts";
import { findJobMessage } from "../store/find_job.ts";
import { parseJobHeaders } from "../format/job_headers.ts";
import { jobBytes } from "../format/job_size.ts";
import type { JobReceipt } from "./job_receipt.ts";
import { type JobPublisher, uniqueHeaders } from "./publish_job.ts";
import type { PreparedJob } from "./publish_options.ts";
import { callQueue } from "../store/queue_call.ts";
import type { QueueContext } from "../store/queue_context.ts";

/**
 * Options of {@linkcode JobQueue.publishMany}.
 *
 * @category Jobs
 */
export interface PublishManyOptions {
  /**
   * Whether the jobs are stored in batches of up to 1000, each as a whole or not at all; needs nats-server 2.12. If the server refuses a batch for
   * good no more are sent, and the error says how many jobs are stored; with ids, a repeat of the call finds them as duplicates. Otherwise each
   * job is stored by itself, all of them at once, which is as fast.
   *
   * @default {false}
   */
  atomic?: boolean;
}

/** All names of {@linkcode PublishManyOptions}. */
export const MANY_OPTIONS: OptionNames<PublishManyOptions> = { atomic: true };

/**
 * Batches that are under way at the same time over one connection. The server has a limit, too; and it syncs the disk for each, and answers none as long as
 * more are coming, so the answers of hundreds would come too late.
 */
const MAX_BATCHES_IN_FLIGHT = 4;

const budgetOf = budgetPerSession(MAX_BATCHES_IN_FLIGHT);

/** The server refused a batch because of one of its jobs: its id is in the queue, or its message id is remembered. */
const REFUSED = [ErrorCode.wrongLastSequence, ErrorCode.wrongLastSequenceUnknown, ErrorCode.batchDuplicate];

/** Batches that are still to be sent, as large as the server takes them. */
class BatchQueue {
  readonly #waiting: Batch[];
  /** Jobs that the server takes as one batch: an operator may have lowered it. */
  #most = MAX_BATCH;

  constructor(jobs: readonly PreparedJob[]) {
    this.#waiting = chunksOf(jobs, MAX_BATCH);
  }

  /** The next one. */
  next(): Batch | undefined {
    const batch = this.#waiting.shift();
    if (!batch || batch.length <= this.#most) return batch;
    this.#waiting.unshift(...chunksOf(batch, this.#most));
    return this.#waiting.shift();
  }

  /** Puts a batch back in parts that the server refused, so that nothing of it is stored, because it is too large; returns whether it did. */
  split(batch: Batch, error: unknown): boolean {
    if (!isServerError(error, ErrorCode.batchTooLarge) || batch.length === 1) return false;
    const limit = Number(/too large: (\d+)/.exec(error.message)?.[1] ?? 0);
    const half = Math.ceil(batch.length / 2);
    this.#most = Math.min(this.#most, limit > 0 && limit < batch.length ? limit : half);
    this.#waiting.unshift(batch);
    return true;
  }
}

function chunksOf(jobs: Batch, size: number): Batch[] {
  return Array.from({ length: Math.ceil(jobs.length / size) }, (_, i) => jobs.slice(i * size, (i + 1) * size));
}

/** Jobs that are stored together. */
type Batch = readonly PreparedJob[];

/**
 * Publishes jobs that are ready as batches; a batch that is not confirmed is `null` for all of its jobs.
 *
 * @throws {JetStreamStoreError} If the server refuses a batch for good: when those that were under way have their answers.
 */
export async function publishBatches(
  parts: QueueContext,
  publisher: JobPublisher,
  jobs: readonly PreparedJob[],
): Promise<(JobReceipt | null)[]> {
  const receipts = new Map<string, JobReceipt | null>();
  // Two equal ids in one batch would both be stored.
  const first = new Map(jobs.toReversed().map((job) => [job.token, job]));
  const unique = [...first.values()].reverse();
  const batches = new BatchQueue(unique);
  const refusals: unknown[] = [];
  await Promise.all(Array.from({ length: MAX_BATCHES_IN_FLIGHT }, async () => {
    for (let batch = batches.next(); batch && refusals.length === 0; batch = batches.next()) {
      try {
        const done = await confirmBatch(parts, publisher, batch);
        batch.forEach((job, i) => receipts.set(job.token, done?.[i] ?? null));
      } catch (error) {
        if (!batches.split(batch, error)) refusals.push(error);
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

async function confirmBatch(
  parts: QueueContext,
  publisher: JobPublisher,
  batch: Batch,
): Promise<JobReceipt[] | null> {
  const bytes = batch.reduce((sum, job) => sum + jobBytes(job), 0);
  const store = (call: Call) =>
    budgetOf(call.session).during(1, () => call.deadline, () => {
      const send = () => storeBatch(call, parts, publisher, batch);
      return isUnconfirmed(call, batch) ? send() : parts.stream.publishWithin(call, bytes, batch.length, send);
    });
  return await callQueue(parts, store, { persist: true });
}

/** Whether a batch may have been stored by this call: its last message is the one that commits it. */
function isUnconfirmed(call: Call, batch: Batch): boolean {
  return batch.some((job) => mayBeStored(call, job.subject));
}

/** Stores jobs, whose ids differ, as one batch (ADR-50): all of them or none. Those whose ids are in the queue are duplicates, and left out. */
async function storeBatch(
  call: Call,
  { names }: QueueContext,
  publisher: JobPublisher,
  batch: Batch,
): Promise<JobReceipt[]> {
  call.session.server.require("2.12", "Publishing jobs as one batch");
  const receipts = new Map<PreparedJob, JobReceipt>();
  const note = (job: PreparedJob, sequence: number, duplicate: boolean) =>
    receipts.set(job, { id: job.id, queue: names.queue, sequence, duplicate });
  for (let rest = [...batch]; rest.length > 0; rest = rest.filter((job) => !receipts.has(job))) {
    try {
      const ack = await publishBatch(call, names.stream, () => messagesOf(names, rest, isUnconfirmed(call, batch)));
      rest.forEach((job, i) => note(job, ack.seq - rest.length + 1 + i, false));
    } catch (error) {
      await publisher.remakeIfGone(call, error, rest.some((job) => job.keyed));
      if (!isServerError(error, ...REFUSED)) throw error;
      const found = await Promise.all(rest.map((job) => findJobMessage(call, names, job.token)));
      const own = found.map((message, i) =>
        message !== null && parseJobHeaders(message.headers()).nonce === rest[i].nonce
      );
      // An earlier attempt was stored and its answer lost: publishing one of its jobs again only gets its receipt.
      const stored = isUnconfirmed(call, batch) &&
        (own.includes(true) || found.every((message) => message === null));
      const asked = stored
        ? rest
        : found.some((message) => message !== null)
        ? []
        : rest.filter((job) => job.repeatable);
      if (!stored) found.forEach((message, i) => message && note(rest[i], message.sequence, true));
      const repeated = await Promise.all(asked.map((job) => publisher.send(call, job, true)));
      asked.forEach((job, i) => receipts.set(job, repeated[i]));
      if (repeated.length === 0 && receipts.size === batch.length - rest.length) throw error;
    }
  }
  return batch.map((job) => receipts.get(job)!);
}

function messagesOf(names: QueueNames, jobs: PreparedJob[], again: boolean): BatchMessage[] {
  return jobs.map((job) => ({
    subject: job.subject,
    payload: job.payload,
    headers: [uniqueHeaders(names, job, again), job.headers],
  }));
}

function withCount(refusal: unknown, count: string): unknown {
  if (!(refusal instanceof JetStreamStoreError)) return refusal;
  const { code, message, serverCode } = refusal;
  return new JetStreamStoreError(code, `${message}; ${count}`, { cause: refusal, serverCode });
}
