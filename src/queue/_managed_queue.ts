import type { Call } from "../wire/call.ts";
import type { JobEvent } from "./format/job_event.ts";
import { checkData } from "./format/job_schema.ts";
import { idToken } from "./format/queue_names.ts";
import { destroyQueue } from "./manage/destroy_queue.ts";
import { countJobs, type JobCounts } from "./manage/job_counts.ts";
import { checkStartRate, type StartRate } from "./format/start_rate.ts";
import { limitRate } from "./manage/limit_rate.ts";
import { type ActiveLimits, checkLimits, limitActive } from "./manage/limit_active.ts";
import { checkPause, pauseEnd, type PauseOptions, pauseQueue } from "./manage/pause_queue.ts";
import { purgeJobs } from "./manage/purge_jobs.ts";
import {
  checkScheduleOptions,
  listSchedules,
  prepareSchedule,
  removeSchedule,
  runSchedule,
  type ScheduleInfo,
  type ScheduleOptions,
  storeSchedule,
} from "./manage/schedules.ts";
import { listWorkers } from "./manage/list_workers.ts";
import type { WorkerInfo } from "./format/worker_info.ts";
import { checkWait, waitForJob, type WaitOptions } from "./manage/wait_for_job.ts";
import type { JobReceipt } from "./publish/job_receipt.ts";
import { type EventsOptions, followEvents } from "./store/job_events.ts";
import type { JobProgress } from "./store/job_results.ts";
import { callQueue, REMOVAL } from "./store/queue_call.ts";
import type { QueueContext } from "./store/queue_context.ts";

/** What a handle does with the queue as a whole, with its schedules, and with what workers report. */
export abstract class ManagedQueue<In> {
  /** What all of the handle shares. */
  protected abstract readonly queue: QueueContext<unknown>;

  async counts(): Promise<JobCounts | null> {
    return await callQueue(this.queue, (call) => countJobs(call, this.queue));
  }

  async purge(): Promise<number | null> {
    return await callQueue(this.queue, (call) => purgeJobs(call, this.queue.names), REMOVAL);
  }

  async destroy(): Promise<boolean | null> {
    return await callQueue(this.queue, (call) => destroyQueue(call, this.queue), REMOVAL);
  }

  async progress<R = unknown>(id: string): Promise<JobProgress<R> | null> {
    const token = idToken(id, "load the progress");
    const last = await callQueue(this.queue, (call) => this.queue.results.progress(call, token));
    return last && { value: last.value as R, at: last.time };
  }

  async workers(): Promise<WorkerInfo[] | null> {
    return await callQueue(this.queue, (call) => listWorkers(call, this.queue.names));
  }

  async result<R = unknown>(id: string): Promise<{ value: R | undefined } | null> {
    const token = idToken(id, "load the result");
    const kept = await callQueue(this.queue, (call) => this.queue.results.result(call, token));
    return kept && { value: kept.value as R | undefined };
  }

  async waitFor<R = unknown>(id: string, options: WaitOptions): Promise<R | undefined> {
    const token = idToken(id, "wait for the job");
    return await waitForJob(this.queue, token, checkWait(options)) as R | undefined;
  }

  events(options?: EventsOptions): AsyncGenerator<JobEvent, void> {
    return followEvents(this.queue.context, this.queue.names, options);
  }

  async schedule(id: string, given: ScheduleOptions<In>): Promise<true | null> {
    const { context, names, schema } = this.queue;
    const options = checkScheduleOptions(given);
    const schedule = prepareSchedule(names, idToken(id, "keep the schedule"), options);
    if (schema) await checkData(schema, schedule.payload, "keep the schedule", context.timeout);
    return await this.#confirm((call) => storeSchedule(call, this.queue, schedule));
  }

  async unschedule(id: string): Promise<boolean | null> {
    const token = idToken(id, "remove the schedule");
    return await callQueue(this.queue, (call) => removeSchedule(call, this.queue.names, token), REMOVAL);
  }

  schedules(): AsyncGenerator<ScheduleInfo<In>, void> {
    return listSchedules<In>(this.queue);
  }

  async runNow(id: string): Promise<JobReceipt | null> {
    return await runSchedule(this.queue, idToken(id, "run the schedule"));
  }

  async pause(until?: Date, options?: PauseOptions): Promise<true | null> {
    const end = pauseEnd(until);
    const which = checkPause(options, "pause the queue");
    return await this.#confirm((call) => pauseQueue(call, this.queue, end, which));
  }

  async resume(options?: PauseOptions): Promise<true | null> {
    const which = checkPause(options, "resume the queue");
    return await this.#confirm((call) => pauseQueue(call, this.queue, null, which));
  }

  async limitActive(limits: ActiveLimits): Promise<true | null> {
    checkLimits(limits);
    return await this.#confirm((call) => limitActive(call, this.queue, limits));
  }

  async limitRate(rate: StartRate | null): Promise<true | null> {
    const checked = rate === null ? null : checkStartRate(rate, "limit the rate");
    return await this.#confirm((call) => limitRate(call, this.queue, checked));
  }

  #confirm(operation: (call: Call) => Promise<unknown>): Promise<true | null> {
    return callQueue(this.queue, (call) => operation(call).then(() => true as const));
  }
}
