/**
 * Durable state for services that already run NATS: an object store, a key-value store and a work queue on JetStream. Every call ends within its
 * deadline, and is `null` while there is no connection, so that a service goes on serving.
 *
 * @example Results, values and jobs
 * ```ts
 * import {
 *   close,
 *   consumeJobs,
 *   jobQueue,
 *   loadHealthcheck,
 *   loadKV,
 *   publishJob,
 *   storeHealthcheck,
 *   storeKV,
 * } from "@supercheck/jetstream";
 *
 * // SUPERCHECK_NATS_URL names the server; without it, each of these is null.
 * const url = "https://example.com/health";
 * await storeHealthcheck(url, JSON.stringify({ status: 200 }));
 * console.log(await loadHealthcheck(url)); // {"status":200}
 *
 * await storeKV(url, "up");
 * console.log(await loadKV(url)); // { key: "https://…", val: "up" }
 *
 * const consumer = await consumeJobs<{ url: string }>("checks", (job) => {
 *   console.log(job.data.url);
 * });
 * // What is kept makes the wait below certain.
 * const keepResult = 60_000;
 * const receipt = await publishJob("checks", { url }, { keepResult });
 * if (receipt) await jobQueue("checks").waitFor(receipt.id, { timeout: 5_000 });
 *
 * await consumer?.stop();
 * await close();
 * ```
 * @module
 */

// The connection: one per process.
export {
  close,
  closeOnSignals,
  connect,
  connectionCounters,
  connectionStatus,
  useConnection,
} from "./src/functions.ts";
export type { CloseOnSignalsOptions, CloseOptions } from "./src/connection/close_on_signals.ts";
export type { ConnectOptions, TlsOptions } from "./src/connection/connect_options.ts";
export type { ConnectionCounters, ConnectionInfo, ConnectionStatus } from "./src/connection/connection_info.ts";
export type { Logger } from "./src/connection/logger.ts";

// Health checks and values: what services import.
export { deleteKV, loadHealthcheck, loadKV, storeHealthcheck, storeKV } from "./src/functions.ts";
export type { KeyAndValue } from "./src/stores.ts";

// Buckets.
export { kvBucket, objectBucket } from "./src/functions.ts";
export type { BucketOptions, Consistency } from "./src/bucket/bucket_options.ts";
export type { BucketStatus } from "./src/bucket/bucket_status.ts";
export type { KvBucket } from "./src/kv/kv_bucket.ts";
export type {
  KvBucketOptions,
  KvDeleteOptions,
  KvGetManyOptions,
  KvGetOptions,
  KvWatchOptions,
} from "./src/kv/kv_options.ts";
export type { KvStatus } from "./src/kv/kv_status.ts";
export type { KvWriteOptions } from "./src/kv/kv_write.ts";
export type { KvEntry, KvOperation } from "./src/kv/kv_entry.ts";
export type { KvChange } from "./src/kv/kv_modify.ts";
export type { KvTransaction } from "./src/kv/kv_transaction.ts";
export type { KvCommitResult } from "./src/kv/kv_commit.ts";
export type { KvLock } from "./src/kv/kv_lock.ts";
export type { KvLockOptions } from "./src/kv/lock_key.ts";
export type { ObjectBucket } from "./src/object/object_bucket.ts";
export type { ObjectBucketOptions, ObjectUpdate, PutOptions, PutStreamOptions } from "./src/object/object_options.ts";
export type { ObjectRange } from "./src/object/format/object_range.ts";
export type { ObjectInfo, ObjectLink } from "./src/object/format/object_info.ts";
export type { WatchOptions as ObjectWatchOptions } from "./src/bucket/watch.ts";

// Jobs.
export { consumeJobs, jobQueue, publishJob, publishJobs } from "./src/job_functions.ts";
export type { JobQueue } from "./src/queue/job_queue.ts";
export type { JobProgress } from "./src/queue/store/job_results.ts";
export type { WaitOptions } from "./src/queue/manage/wait_for_job.ts";
export type { BatchHandler, BatchOptions } from "./src/queue/work/job_batches.ts";
export type { QueueOptions } from "./src/queue/store/queue_options.ts";
export type { JobSchema, SchemaIssue, SchemaResult } from "./src/queue/format/job_schema.ts";
export type { PublishManyOptions } from "./src/queue/publish/publish_many.ts";
export type { PublishOptions } from "./src/queue/publish/publish_options.ts";
export type { JobReceipt } from "./src/queue/publish/job_receipt.ts";

export type { ConsumeOptions } from "./src/queue/work/consume_options.ts";
export type { JobConsumer } from "./src/queue/work/job_consumer.ts";
export type { JobConsumerStatus, RunEnd, StopOptions, StopSummary } from "./src/queue/work/job_consumer_status.ts";
export type { Job } from "./src/queue/work/job.ts";
export type { Priority } from "./src/queue/format/queue_names.ts";
export type { Backoff, BackoffOption, ExponentialBackoff } from "./src/queue/format/retry_backoff.ts";
export type { EventsOptions } from "./src/queue/store/job_events.ts";
export type { JobEvent, JobEventBase } from "./src/queue/format/job_event.ts";
export type { ScheduleInfo, ScheduleOptions } from "./src/queue/manage/schedules.ts";
export type { PauseOptions } from "./src/queue/manage/pause_queue.ts";
export type { ActiveLimits } from "./src/queue/manage/limit_active.ts";
export type { StartRate } from "./src/queue/format/start_rate.ts";
export type { MatchCounts, MatchOptions } from "./src/queue/manage/act_on_matches.ts";
export type { DeadLetterFilter, JobFilter } from "./src/queue/manage/job_filter.ts";
export type { RescheduleOptions } from "./src/queue/manage/change_job.ts";
export type { ListJobsOptions } from "./src/queue/manage/list_jobs.ts";
export type { WorkerInfo, WorkerState } from "./src/queue/format/worker_info.ts";
export type { JobInfo } from "./src/queue/store/find_job.ts";
export type { JobCounts, QueuePause } from "./src/queue/manage/job_counts.ts";
export type { ListDeadLettersOptions } from "./src/queue/manage/list_dead_letters.ts";
export type { DeadLetter } from "./src/queue/store/dead_letters.ts";

// An instance of one's own, for tests and services with several tenants.
export { JetStreamStores } from "./src/stores.ts";
export type { StoresOptions } from "./src/stores.ts";
export type { ReadVariable } from "./src/settings.ts";

// Errors.
export { JetStreamStoreError, JobFailedError, RetryJobError, UnrecoverableJobError } from "./src/errors.ts";
export type { JobFailedOptions, RetryJobOptions, StoreErrorCode, StoreErrorOptions } from "./src/errors.ts";
