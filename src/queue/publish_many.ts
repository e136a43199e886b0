import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { BATCH, publishAtomic } from "./publish_atomic.ts";
import type { JobPublisher, JobReceipt } from "./publish_job.ts";
import type { PreparedJob } from "./publish_options.ts";
import type { QueueNames } from "./queue_names.ts";

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

/** Batches that are under way at the same time; the server has a limit, too. */
const BATCHES = 4;

/**
 * Publishes prepared jobs as batches; a batch that is not confirmed is `null` for all of its jobs.
 *
 * @throws {JetStreamStoreError} If the server refuses a batch for good: when those that were under way have their answers.
 */
export async function publishBatches(
  context: Context,
  names: QueueNames,
  publisher: JobPublisher,
  jobs: readonly PreparedJob[],
): Promise<(JobReceipt | null)[]> {
  const receipts = new Map<string, JobReceipt | null>();
  // Two equal ids in one batch would both be stored.
  const first = new Map(jobs.toReversed().map((job) => [job.token, job]));
  const unique = [...first.values()].reverse();
  const batches = Array.from(
    { length: Math.ceil(unique.length / BATCH) },
    (_, i) => unique.slice(i * BATCH, (i + 1) * BATCH),
  );
  const work = batches.values();
  const refusals: unknown[] = [];
  await Promise.all(Array.from({ length: BATCHES }, async () => {
    for (const batch of work) {
      if (refusals.length > 0) return;
      const call = { tries: 0 };
      try {
        const done = await context.connection.attempt(
          (session, deadline) => publishAtomic(session, names, publisher, batch, deadline, call),
          { timeout: context.timeout, persist: true },
        );
        batch.forEach((job, i) => receipts.set(job.token, done?.[i] ?? null));
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

function withCount(refusal: unknown, count: string): unknown {
  if (!(refusal instanceof JetStreamStoreError)) return refusal;
  const { code, message, serverCode } = refusal;
  return new JetStreamStoreError(code, `${message}; ${count}`, { cause: refusal, serverCode });
}
