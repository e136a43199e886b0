import type { Call } from "../../wire/call.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { nanoseconds } from "../../wire/durations.ts";
import { type StreamConfig, streamInfo } from "../../wire/streams.ts";
import type { QueueNames } from "../format/queue_names.ts";

/** The label of a queue's streams in their metadata; its value is the queue's name. */
const QUEUE_LABEL = "supercheck-queue";

/** The label of the lease in the metadata of the jobs' stream, which streams of earlier versions have, too. */
export const LEASE_LABEL = "supercheck-lease";

/** Milliseconds that results and progress are kept at most. */
export const MAX_RESULT_TTL_MS = 86_400_000;

/** What the keys of a results bucket end with. */
const RESULT_KEYS: readonly string[] = ["result", "progress", "runs"];

/** The metadata by which a stream is known to belong to a queue, whatever its name. */
export function queueLabel({ queue }: QueueNames): Record<string, string> {
  return { [QUEUE_LABEL]: queue };
}

/** Whether a stream keeps the jobs of this queue. */
export function isJobStream({ metadata = {}, retention, subjects = [] }: StreamConfig, names: QueueNames): boolean {
  const own = names.subjects();
  const marked = metadata[QUEUE_LABEL] === names.queue || LEASE_LABEL in metadata;
  return retention === "workqueue" && subjects.includes(names.readyFilter("normal")) &&
    (marked || subjects.every((subject) => own.includes(subject)));
}

/** Whether a stream keeps the dead letters of this queue: by its label, or, made by an earlier version, by its exact shape. */
export function isDeadLetterStream(config: StreamConfig, names: QueueNames): boolean {
  const { metadata = {}, retention = "limits", subjects = [], max_msgs_per_subject, max_age = 0 } = config;
  if (subjects.length !== 1 || subjects[0] !== names.deadFilter || retention !== "limits") return false;
  return metadata[QUEUE_LABEL] === names.queue || (max_msgs_per_subject === 1 && max_age > 0);
}

/**
 * Whether a KV bucket keeps the results of this queue: by its label, or, made by an earlier version, by its exact shape and its keys. A user's own
 * bucket may have the same name.
 */
export async function isResultsStream(
  call: Call,
  { metadata = {}, subjects = [], max_age, max_msgs_per_subject, deny_delete }: StreamConfig,
  names: QueueNames,
): Promise<boolean> {
  const filter = `$KV.${names.resultsBucket}.>`;
  if (subjects.length !== 1 || subjects[0] !== filter) return false;
  if (QUEUE_LABEL in metadata) return metadata[QUEUE_LABEL] === names.queue;
  if (max_age !== nanoseconds(MAX_RESULT_TTL_MS) || max_msgs_per_subject !== 1 || !deny_delete) return false;
  const info = await streamInfo(call, names.resultsStream, { subjects_filter: filter });
  return Object.keys(info?.state.subjects ?? {}).every((subject) => {
    const tokens = subject.split(".");
    return tokens.length === 4 && RESULT_KEYS.includes(tokens[3]);
  });
}

/** Whether a stream keeps the permits of this queue. */
export function isPermitStream({ metadata = {}, subjects = [] }: StreamConfig, names: QueueNames): boolean {
  return metadata[QUEUE_LABEL] === names.queue && subjects.length === 1 && subjects[0] === names.permit;
}

/** What to throw where a stream is not the queue's own. */
export function notOfQueue(stream: string, part: string, { queue }: QueueNames): JetStreamStoreError {
  return new JetStreamStoreError(
    "wrong_kind",
    `The stream ${stream} does not keep ${part} of queue ${queue}: choose another queue name, or remove the stream`,
  );
}
