import type { QueueContext } from "../store/queue_context.ts";
import type { QueueNames } from "../format/queue_names.ts";
import type { Call } from "../../wire/call.ts";
import { delay } from "../../delay.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { api } from "../../wire/api.ts";
import { retryUntil } from "../../wire/retry_until.ts";
import { consumerInfo, consumerInfos } from "../store/durable_consumer.ts";
import { checkMoment } from "../format/due_time.ts";
import { checkPriority, type Priority } from "../format/queue_names.ts";

/** A pause without an end lasts until then. */
export const NO_END = new Date("9999-01-01T00:00:00Z");

/** Milliseconds between two checks that a pause is in force. */
const CHECK_INTERVAL_MS = 10;

/**
 * Options of {@linkcode JobQueue.pause} and {@linkcode JobQueue.resume}.
 *
 * @category Jobs
 */
export interface PauseOptions {
  /**
   * Only this priority.
   *
   * @default {the whole queue}
   */
  priority?: Priority;
}

const OPTIONS: OptionNames<PauseOptions> = { priority: true };

/** Stops the server from delivering jobs until a moment, or (`null`) resumes it. The server announces it to the workers. */
export async function pauseQueue(
  call: Call,
  { names, stream }: QueueContext,
  until: Date | null,
  { priority }: PauseOptions,
): Promise<void> {
  await stream.openConsumers(call);
  const consumers = await consumerInfos(call, names);
  await Promise.all(consumers.map(async ({ name }) => {
    if (priority !== undefined && name !== priority) return;
    await pauseConsumer(call, names, name, until);
  }));
}

/** Pauses one durable consumer until a moment, or (`null`) resumes it; resolves when that is in force. */
export function pauseConsumer(call: Call, names: QueueNames, name: string, until: Date | null): Promise<void> {
  const body = until === null ? {} : { pause_until: until.toISOString() };
  return retryUntil(call, async (call) => {
    await api(call, `CONSUMER.PAUSE.${names.stream}.${name}`, body);
    await untilInForce(call, names, name, until);
  });
}

/** A cluster answers before the pause has reached the consumer's leader. */
async function untilInForce(call: Call, names: QueueNames, name: string, until: Date | null): Promise<void> {
  const wanted = until !== null && until.getTime() > call.session.now() ? until.getTime() : null;
  for (;;) {
    const info = await consumerInfo(call, names, name);
    const { paused = false, config } = info ?? {};
    if (wanted === null ? !paused : Date.parse(config?.pause_until ?? "") === wanted) return;
    if (performance.now() > call.deadline) {
      throw new Unavailable("timeout", `The pause of ${name} is not in force`);
    }
    await delay(CHECK_INTERVAL_MS);
  }
}

/**
 * Checks when a pause is to end.
 *
 * @throws {TypeError | RangeError} If it is no valid date, or none that the server supports.
 */
export function pauseEnd(until: Date | null | undefined): Date {
  if (until === undefined || until === null) return NO_END;
  checkMoment(until, "pause the queue", "until");
  return until;
}

/**
 * What is to pause or resume, checked.
 *
 * @throws {TypeError | RangeError} If an option is unknown, or the priority is none.
 */
export function checkPause(given: PauseOptions | null | undefined, doing: string): PauseOptions {
  const options = checkOptions(given, OPTIONS, doing);
  if (options.priority !== undefined) checkPriority(options.priority, doing);
  return options;
}
