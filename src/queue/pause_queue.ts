import { delay } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { api } from "../wire/api.ts";
import type { Session } from "../wire/session.ts";
import { partitionNames, PRIORITIES, type Priority, type QueueNames } from "./queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";

/** A pause without an end lasts until then. */
const NO_END = new Date("9999-01-01T00:00:00Z");

/** Milliseconds between two looks whether a consumer has heard of a pause. */
const LOOK_AGAIN = 10;

/** Options of {@linkcode JobQueue.pause} and {@linkcode JobQueue.resume}. */
export interface PauseOptions {
  /**
   * Only this priority.
   *
   * @default {the whole queue}
   */
  priority?: Priority;
}

/** What pauses, and for how long. */
export interface Pause {
  /** Until when; `null` resumes. */
  until: Date | null;
  /** Names of the durable consumers. */
  consumers: string[];
}

/** Stops the server from handing out jobs until a moment, or lets it go on. Workers hear of it from the server. */
export async function pauseQueue(
  session: Session,
  names: QueueNames,
  stream: QueueStream,
  pause: Pause,
  deadline: number,
): Promise<void> {
  session.server.require("2.11", "Pausing a queue");
  await stream.openConsumers(session, deadline);
  const body = pause.until === null ? {} : { pause_until: pause.until.toISOString() };
  await Promise.all(pause.consumers.map(async (consumer) => {
    // Partitions are there only where jobs have keys.
    if (await stream.consumerInfo(session, consumer, deadline) === null) return;
    await api(session, `CONSUMER.PAUSE.${names.stream}.${consumer}`, body, deadline);
    await untilInForce(session, stream, consumer, pause.until, deadline);
  }));
}

/** A cluster answers before the consumer's leader has heard of it. */
async function untilInForce(
  session: Session,
  stream: QueueStream,
  consumer: string,
  until: Date | null,
  deadline: number,
): Promise<void> {
  const wanted = until !== null && until.getTime() > session.now() ? until.getTime() : null;
  for (;;) {
    const info = await stream.consumerInfo(session, consumer, deadline);
    const { paused = false, config } = info ?? {};
    if (wanted === null ? !paused : Date.parse(config?.pause_until ?? "") === wanted) return;
    if (performance.now() > deadline) {
      throw new Unavailable("timeout", `No word that ${consumer} has heard of the pause`);
    }
    await delay(LOOK_AGAIN);
  }
}

/**
 * Checks when a pause is to end.
 *
 * @throws {TypeError} If it is no valid date.
 */
export function pauseEnd(until: Date | undefined): Date {
  if (until === undefined) return NO_END;
  if (until instanceof Date && !Number.isNaN(until.getTime())) return until;
  throw new TypeError(`Cannot pause the queue as 'until' must be a valid Date: current value is ${String(until)}`);
}

/**
 * The durable consumers that are to pause.
 *
 * @throws {RangeError} If the priority is none.
 */
export function pausedConsumers({ priority }: PauseOptions): string[] {
  if (priority === undefined) return [...PRIORITIES, ...partitionNames()];
  if (PRIORITIES.includes(priority)) return [priority];
  throw new RangeError(
    `Cannot pause or resume as 'priority' must be "high", "normal" or "low": current value is ${
      JSON.stringify(priority)
    }`,
  );
}
