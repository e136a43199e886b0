import type { JobPublisher } from "../publish/publish_job.ts";
import { checkBoolean, checkFunction, checkSignal } from "../../checks.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import { listingStep } from "../../wire/listing.ts";
import { messagePages } from "../../wire/message_pages.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { StreamReader } from "../../wire/stream_reader.ts";
import { deleteMessage, mayBeRemoved, streamInfo } from "../../wire/streams.ts";
import { idOf, tokenOf } from "../format/queue_names.ts";
import { deadLetterMessages } from "./list_dead_letters.ts";
import { callQueue, REMOVAL } from "../store/queue_call.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { isJobStream, notOfQueue } from "../store/stream_kinds.ts";
import { cancelJob } from "./cancel_job.ts";
import { type DeadLetterFilter, type JobFilter, matchesDeadLetter, matchesJob } from "./job_filter.ts";
import { redriveJob } from "./redrive_job.ts";

/**
 * How far it has come that acts on all that match.
 *
 * @category Jobs
 */
export interface MatchCounts {
  /** How many were found that match. */
  matched: number;
  /** With how many of them it was done. The others changed meanwhile, or could not be. */
  done: number;
}

/**
 * Options of what acts on all that match.
 *
 * @category Jobs
 */
export interface MatchOptions {
  /**
   * Whether to count only what matches, and to do nothing.
   *
   * @default {false}
   */
  dryRun?: boolean;
  /** Called with what has been done so far, at most ten times a second. It must not throw. */
  progress?: (counts: MatchCounts) => void;
  /** Ends it early; it then returns what has been done. */
  signal?: AbortSignal;
}

const OPTIONS: OptionNames<MatchOptions> = { dryRun: true, progress: true, signal: true };

/**
 * Checks the options.
 *
 * @throws {TypeError} If one is unknown, or of the wrong type.
 */
export function checkMatchOptions(given: MatchOptions | undefined, doing: string): MatchOptions {
  const options = checkOptions(given, OPTIONS, doing);
  const { dryRun, progress, signal } = options;
  if (dryRun !== undefined) checkBoolean(dryRun, doing, "dryRun");
  if (progress !== undefined) checkFunction(progress, doing, "progress");
  if (signal !== undefined) checkSignal(signal, doing, "signal");
  return options;
}

/** Messages that are acted on at the same time. */
const MAX_CALLS_IN_FLIGHT = 32;

/** Messages of one page. */
const PAGE_MESSAGES = 256;

/** Milliseconds between two reports of progress at least. */
const PROGRESS_MS = 100;

/** Cancels all jobs that match. `null` if it breaks off. */
export function cancelMatches(
  parts: QueueContext,
  filter: JobFilter,
  options: MatchOptions,
): Promise<MatchCounts | null> {
  return actOnEach(jobMessages(parts), (message) => matchesJob(message, filter), options, (message) => {
    const token = tokenOf(message.subject);
    const known = { deleted: false, isListed: true };
    // Another job may have its id by now.
    const isMeant = (present: StoredMessage) => matchesJob(present, filter);
    return callQueue(parts, (call) => cancelJob(call, parts, token, known, isMeant));
  });
}

/** Makes all dead letters jobs again that match and can be. `null` if it breaks off. */
export function redriveMatches(
  parts: QueueContext,
  publisher: JobPublisher,
  filter: DeadLetterFilter,
  options: MatchOptions,
): Promise<MatchCounts | null> {
  const { context, names } = parts;
  const letters = deadLetterMessages(context, names);
  const redrive = async (letter: StoredMessage) => {
    const redriven = { letter, isStored: false };
    try {
      return await callQueue(parts, (call) => redriveJob(call, parts, publisher, redriven));
    } catch (error) {
      // One that is too large must not hold up those that come after it.
      if (!(error instanceof RangeError)) throw error;
      const id = idOf(tokenOf(letter.subject));
      context.logger.warn(`Job ${id} of queue ${names.queue} stays a dead letter: ${error.message}`);
      return false;
    }
  };
  return actOnEach(letters, (letter) => matchesDeadLetter(letter, filter), options, redrive);
}

/** Removes all dead letters that match. `null` if it breaks off. */
export function discardMatches(
  parts: QueueContext,
  filter: DeadLetterFilter,
  options: MatchOptions,
): Promise<MatchCounts | null> {
  const { context, names } = parts;
  const letters = deadLetterMessages(context, names);
  return actOnEach(letters, (letter) => matchesDeadLetter(letter, filter), options, ({ sequence }) => {
    return callQueue(parts, async (call) => {
      return await deleteMessage(call, names.deadStream, sequence) || mayBeRemoved(call, "message", names.deadStream);
    }, REMOVAL);
  });
}

/** Acts on those of some messages that match, a few at a time, page by page. `null` if it breaks off. */
async function actOnEach(
  messages: AsyncGenerator<StoredMessage, void>,
  matches: (message: StoredMessage) => boolean,
  { dryRun = false, progress = () => {}, signal }: MatchOptions,
  act: (message: StoredMessage) => Promise<boolean | null>,
): Promise<MatchCounts | null> {
  const counts: MatchCounts = { matched: 0, done: 0 };
  let reported = performance.now();
  let isOver = false;
  const work = async () => {
    for await (const message of shared(messages)) {
      if (isOver || signal?.aborted) return;
      if (!matches(message)) continue;
      counts.matched++;
      const done = dryRun ? false : await act(message);
      if (done === null) throw new JetStreamStoreError("disconnected", "No answer within the deadline");
      if (done) counts.done++;
      if (performance.now() - reported < PROGRESS_MS) continue;
      reported = performance.now();
      progress({ ...counts });
    }
  };
  const ends = await Promise.allSettled(
    Array.from({ length: MAX_CALLS_IN_FLIGHT }, () => work().finally(() => isOver = true)),
  );
  await messages.return();
  const failed = ends.find((end) => end.status === "rejected");
  progress({ ...counts });
  if (!failed) return counts;
  if (failed.reason instanceof JetStreamStoreError && failed.reason.code === "disconnected") return null;
  throw failed.reason;
}

/** The same messages for several loops: the end of one does not end the others. */
function shared(messages: AsyncGenerator<StoredMessage, void>): AsyncIterable<StoredMessage> {
  return { [Symbol.asyncIterator]: () => ({ next: () => messages.next() }) };
}

/** All jobs that are in the queue when it begins, in the order of their messages, fetched by page. */
async function* jobMessages({ context, names }: QueueContext): AsyncGenerator<StoredMessage, void> {
  const what = `The jobs of queue ${names.queue}`;
  const info = await listingStep(context, what, (call) => streamInfo(call, names.stream));
  if (!info) return;
  if (!isJobStream(info.config, names)) throw notOfQueue(names.stream, "the jobs", names);
  const reader = new StreamReader(names.stream);
  const { last_seq } = info.state;
  const query = { next_by_subj: names.idFilter("*"), batch: PAGE_MESSAGES };
  const pageFrom = (seq: number) => listingStep(context, what, (call) => reader.page(call, { seq, ...query }));
  for await (const page of messagePages(pageFrom, 1, last_seq)) {
    yield* page.filter(({ sequence }) => sequence <= last_seq);
  }
}
