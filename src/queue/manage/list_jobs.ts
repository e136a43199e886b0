import type { Call } from "../../wire/call.ts";
import { checkOneOf, checkWhole, wrong } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import { listingStep } from "../../wire/listing.ts";
import { messagePages } from "../../wire/message_pages.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { StreamReader } from "../../wire/stream_reader.ts";
import { streamInfo } from "../../wire/streams.ts";
import { deliveredUpTo, type JobInfo, readJobInfo } from "../store/find_job.ts";
import { kindOf, PRIORITIES, type Priority, type QueueNames } from "../format/queue_names.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { isJobStream, notOfQueue } from "../store/stream_kinds.ts";

/**
 * Which jobs {@linkcode JobQueue.jobs} lists.
 *
 * @category Jobs
 */
export interface ListJobsOptions {
  /**
   * `ready`: wait for a worker. `active`: handed to one. `waiting`: both. `delayed`: not due yet. `keyed`: with a key, in whatever state.
   *
   * @default {"waiting"}
   */
  kind?: "waiting" | "ready" | "active" | "delayed" | "keyed";
  /**
   * Only these; jobs with a key have none.
   *
   * @default {all, the most urgent first}
   */
  priority?: Priority;
  /**
   * Only those behind this `sequence`, the one of the last job of a page; with a `priority`, or for jobs with a key.
   *
   * @default {0}
   */
  after?: number;
}

const KINDS: readonly ListJobsOptions["kind"][] = ["waiting", "ready", "active", "delayed", "keyed"];

const OPTIONS: OptionNames<ListJobsOptions> = { kind: true, priority: true, after: true };

const PAGE_MESSAGES = 256;

const DOING = "list the jobs";

/** What is to be listed. */
export interface JobList {
  /** The subjects of the jobs. */
  filters: string[];
  /** The sequence behind which they begin. */
  after: number;
  /** Only those that wait for a worker, or only those that were handed to one; `undefined`: both. */
  state: "ready" | "active" | undefined;
}

/**
 * The jobs that are to be listed.
 *
 * @throws {TypeError | RangeError} If an option is wrong.
 */
export function jobList(names: QueueNames, options: ListJobsOptions | null | undefined): JobList {
  const { kind = "waiting", priority, after = 0 } = checkOptions(options, OPTIONS, DOING);
  checkOneOf(kind, DOING, "kind", KINDS);
  if (priority !== undefined) checkOneOf(priority, DOING, "priority", PRIORITIES);
  checkWhole(after, DOING, "after", 0);
  if (after > 0 && priority === undefined && kind !== "keyed") {
    throw wrong(
      RangeError,
      `${DOING} as 'after' needs a 'priority': each priority is listed in an order of its own`,
      after,
    );
  }
  const state = kind === "ready" || kind === "active" ? kind : undefined;
  return { filters: filtersOf(names, kind, priority), after, state };
}

function filtersOf(names: QueueNames, kind: ListJobsOptions["kind"], priority?: Priority): string[] {
  const priorities = priority === undefined ? PRIORITIES : [priority];
  if (kind === "delayed") return priorities.map((priority) => names.later(priority, "*"));
  return kind === "keyed" ? [names.keyed("*", "*")] : priorities.map((priority) => names.readyFilter(priority));
}

/** The jobs of some subjects, oldest first within each, fetched by page. */
export async function* listJobs<T>(
  { context, names }: QueueContext,
  { filters, after, state }: JobList,
): AsyncGenerator<JobInfo<T>, void> {
  const what = `The jobs of queue ${names.queue}`;
  const info = await listingStep(context, what, (call) => streamInfo(call, names.stream));
  if (!info) return;
  if (!isJobStream(info.config, names)) throw notOfQueue(names.stream, "the jobs", names);
  const reader = new StreamReader(names.stream);
  for (const filter of filters) {
    let seq = after + 1;
    if (state === "ready") {
      // What was handed out is older than what was not.
      const passed = (call: Call) => deliveredUpTo(call, names, filter);
      seq = Math.max(seq, (await listingStep(context, what, passed) ?? 0) + 1);
    }
    const pageFrom = (seq: number) =>
      listingStep(context, what, async (call) => {
        const messages = await reader.page(call, { seq, next_by_subj: filter, batch: PAGE_MESSAGES });
        const subjects = [...new Set(messages.map((message) => placeOf(message)))];
        const upTo = await Promise.all(subjects.map((subject) => deliveredUpTo(call, names, subject)));
        const delivered = new Map(subjects.map((subject, i) => [subject, upTo[i]]));
        return messages.map((message) => readJobInfo<T>(message, delivered.get(placeOf(message)) ?? null));
      });
    for await (const page of messagePages(pageFrom, seq)) {
      yield* page.filter((job) => state === undefined ? isOf(filter, job) : job.state === state);
      if (state === "active" && page.some((job) => job.state === "ready")) break;
    }
  }
}

/** Whether a job is of the kind that a filter is for: among those with a key stand the copies of jobs that are being changed. */
function isOf(filter: string, { state }: JobInfo): boolean {
  return state !== "delayed" || kindOf(filter) === "later";
}

/** A job's subject without its id. */
function placeOf({ subject }: StoredMessage): string {
  return subject.slice(0, subject.lastIndexOf("."));
}
