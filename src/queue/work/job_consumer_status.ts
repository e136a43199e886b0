import type { OptionNames } from "../../options.ts";

/**
 * How a delivery ended.
 *
 * | end | meaning |
 * | --- | --- |
 * | `completed` | the handler returned |
 * | `retried` | it failed and runs again |
 * | `postponed` | it asked to run again, without having failed |
 * | `dead` | it is a dead letter |
 * | `expired` | it had not started when its `ttl` was over |
 * | `skipped` | it needed no run: it is done already, or a newer copy of it exists |
 * | `released` | its end could not be reported: it was cancelled, its lease was lost, or the server did not answer; the worker that gets it next reports it |
 *
 * @category Jobs
 */
export type RunEnd = "completed" | "retried" | "postponed" | "dead" | "expired" | "skipped" | "released";

/**
 * The state of a consumer.
 *
 * @category Jobs
 */
export interface JobConsumerStatus {
  /**
   * `connecting`: no connection yet, or none now. `serving`: the server delivers jobs as they are stored. `impaired`: connected, but not served, or not
   * able to store the ends of jobs (permissions, limits), so that it starts none; it retries by itself. `paused`: the queue is. `stopping` and
   * `stopped`: by `stop()`, its signal or
   * `close()`.
   */
  state: "connecting" | "serving" | "impaired" | "paused" | "stopping" | "stopped";
  /** Why it is impaired, or has no connection. */
  reason: string | null;
  /** Jobs that run. */
  active: number;
  /** Jobs that were fetched and have not started. */
  prefetched: number;
  /** How many deliveries ended in each way since it began. */
  ended: Record<RunEnd, number>;
}

/** {@linkcode JobConsumerStatus.ended} at first. */
export const NO_ENDS: JobConsumerStatus["ended"] = {
  completed: 0,
  retried: 0,
  postponed: 0,
  dead: 0,
  expired: 0,
  skipped: 0,
  released: 0,
};

/**
 * Options of {@linkcode JobConsumer.stop}.
 *
 * @category Jobs
 */
export interface StopOptions {
  /**
   * Milliseconds for running jobs to finish; then their signals abort, and they are abandoned: another worker runs them when their lease is over.
   * A repeat with less ends it sooner.
   *
   * @default {10_000}
   */
  deadline?: number;
}

/** All names of {@linkcode StopOptions}. */
export const STOP_OPTIONS: OptionNames<StopOptions> = { deadline: true };

/**
 * What a consumer left when it stopped.
 *
 * @category Jobs
 */
export interface StopSummary {
  /** Jobs that had been fetched and were given back; it cost them no attempt. */
  givenBack: number;
  /** Ids of the jobs that were still running at the deadline. */
  abandoned: string[];
}
