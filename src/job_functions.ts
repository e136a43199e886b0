/**
 * The functions for queues that services import: each is the method of the same name of {@linkcode JetStreamStores}, of the process-wide instance.
 * @module
 */
import type { ConsumeOptions } from "./queue/work/consume_options.ts";
import type { Job } from "./queue/work/job.ts";
import type { JobConsumer } from "./queue/work/job_consumer.ts";
import type { JobQueue } from "./queue/job_queue.ts";
import type { JobReceipt } from "./queue/publish/job_receipt.ts";
import type { PublishManyOptions } from "./queue/publish/publish_many.ts";
import type { PublishOptions } from "./queue/publish/publish_options.ts";
import type { QueueOptions } from "./queue/store/queue_options.ts";
import { processStores as stores } from "./process_stores.ts";

/**
 * Adds one job to a queue.
 *
 * @returns The server's receipt, with `duplicate: true` if a job of this id was there already; `null` if it is not confirmed. Repeating it
 * is safe with an `id` while the job is pending, or with a `requestId`.
 * @throws {TypeError | RangeError} If the data is no JSON value, or an argument is wrong.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example One check per URL, in a minute
 * ```ts
 * import { close, publishJob } from "@supercheck/jetstream";
 *
 * const url = "https://example.com/health";
 * const receipt = await publishJob("checks", { url }, { id: url, delay: 60_000 });
 * console.log(receipt?.duplicate ? "waits already" : receipt?.id);
 * await close();
 * ```
 *
 * @category Jobs
 */
export const publishJob = <T>(queue: string, data: T, options?: PublishOptions): Promise<JobReceipt | null> =>
  stores.publishJob(queue, data, options);

/**
 * Adds many jobs to a queue.
 *
 * @param options `atomic`: in batches of up to 1000, each stored as a whole or not at all; none is sent after one that the server refuses.
 * @returns A receipt for each, in their order; `null` in the list: this one is not confirmed. `null` without a connection.
 * @throws {TypeError | RangeError} If one of them is wrong; none is stored then.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Two at once
 * ```ts
 * import { close, publishJobs } from "@supercheck/jetstream";
 *
 * const receipts = await publishJobs("mails", [
 *   { data: { to: "ann" } },
 *   { data: { to: "bob" }, priority: "high" },
 * ]);
 * console.log(receipts?.filter((receipt) => receipt !== null).length);
 * await close();
 * ```
 *
 * @category Jobs
 */
export const publishJobs = <T>(
  queue: string,
  jobs: readonly (PublishOptions & { /** What the job is about. */ data: T })[],
  options?: PublishManyOptions,
): Promise<(JobReceipt | null)[] | null> => stores.publishJobs(queue, jobs, options);

/**
 * Runs `handler` for each job of a queue, resumes after each reconnect until it is stopped, and keeps the process alive until then. A handler that
 * returns completes its job; one that throws is retried after a backoff, up to `maxAttempts`; then the job is a dead letter.
 *
 * @returns The consumer; `null` if there is no connection now: {@linkcode jobQueue}`(queue).consume()` starts by itself when there is one.
 * @throws {TypeError | RangeError} If an argument is wrong.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Ten at a time
 * ```ts
 * import { closeOnSignals, consumeJobs } from "@supercheck/jetstream";
 *
 * const consumer = await consumeJobs<{ url: string }>("checks", async (job) => {
 *   const response = await fetch(job.data.url, { signal: job.signal });
 *   await response.body?.cancel();
 * }, { concurrency: 10 });
 * console.log(consumer?.status().state);
 *
 * // The worker keeps the process alive until SIGTERM or Ctrl-C.
 * closeOnSignals();
 * ```
 *
 * @category Jobs
 */
export const consumeJobs = <T>(
  queue: string,
  handler: (job: Job<T>) => unknown,
  options?: ConsumeOptions,
): Promise<JobConsumer<T> | null> => stores.consumeJobs(queue, handler, options);

/**
 * A queue of jobs: made at once, and cheap to keep. Its consumers start by themselves as soon as there is a connection.
 *
 * @throws {TypeError | RangeError} If the name or an option is wrong.
 *
 * @example Typed jobs
 * ```ts
 * import { closeOnSignals, jobQueue } from "@supercheck/jetstream";
 *
 * const mails = jobQueue<{ to: string }>("mails");
 * mails.consume((job) => console.log(job.data.to));
 * await mails.publish({ to: "ann" });
 * closeOnSignals();
 * ```
 *
 * @category Jobs
 */
export const jobQueue = <Out = unknown, In = Out>(name: string, options?: QueueOptions<Out, In>): JobQueue<Out, In> =>
  stores.jobQueue(name, options);
