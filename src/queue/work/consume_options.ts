import { checkDuration, checkFunction, checkSignal, checkWhole, MAX_TIMER, wrong } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import { PRIORITIES, type Priority } from "../format/queue_names.ts";
import { type BackoffOption, checkBackoff, DEFAULT_BACKOFF } from "../format/retry_backoff.ts";

/**
 * How a consumer works.
 *
 * @category Jobs
 */
export interface ConsumeOptions {
  /**
   * Jobs that run at the same time. A job that has run makes room at once: while the server confirms the end of up to 256, the next ones run.
   *
   * @default {1}
   */
  concurrency?: number;
  /**
   * Jobs that are fetched ahead of those that run.
   *
   * @default {as many as the next 20 ms need}
   */
  prefetch?: number;
  /**
   * The priorities that it serves; `"keyed"`: jobs that have a key.
   *
   * @default {["high", "normal", "low", "keyed"]}
   */
  priorities?: readonly (Priority | "keyed")[];
  /**
   * Attempts, the first one included, before a job goes to the dead letters; the job's own setting comes first.
   *
   * @default {5}
   */
  maxAttempts?: number;
  /**
   * Starts of one attempt without a reported end, after which its job goes to the dead letters: it seems to kill its workers. With 1, each start of
   * a job is stored before it happens, which costs a request.
   *
   * @default {10}
   */
  maxDeliveries?: number;
  /**
   * Milliseconds between a failed attempt and the next; the job's own setting comes first.
   *
   * @default {{ base: 1_000, max: 60_000 }}
   */
  backoff?: BackoffOption;
  /** Milliseconds that one attempt may take; then its signal aborts and it counts as failed. The job's own setting comes first. */
  timeout?: number;
  /** No more than `jobs` start within any `interval` milliseconds. */
  rateLimit?: { jobs: number; interval: number };
  /** Stops the consumer. */
  signal?: AbortSignal;
}

/** All names of {@linkcode ConsumeOptions}. */
export const CONSUME_OPTIONS: OptionNames<ConsumeOptions> = {
  concurrency: true,
  prefetch: true,
  priorities: true,
  maxAttempts: true,
  maxDeliveries: true,
  backoff: true,
  timeout: true,
  rateLimit: true,
  signal: true,
};

type RateLimit = NonNullable<ConsumeOptions["rateLimit"]>;

const RATE_LIMIT: OptionNames<RateLimit> = { jobs: true, interval: true };

/** The options with their defaults; without a `prefetch` it is guessed. */
export type ConsumeSettings =
  & Required<Pick<ConsumeOptions, "concurrency" | "maxAttempts" | "maxDeliveries" | "backoff">>
  & Pick<ConsumeOptions, "prefetch" | "timeout" | "rateLimit" | "signal">
  & {
    /** The most urgent first. */
    priorities: readonly Priority[];
    /** Whether it serves jobs that have a key. */
    keyed: boolean;
  };

const SERVED: readonly (Priority | "keyed")[] = [...PRIORITIES, "keyed"];

/**
 * Checks the arguments of a consumer and fills in the defaults.
 *
 * @throws {TypeError | RangeError} Naming the argument, its value and the rule.
 */
export function consumeSettings(handler: unknown, options: ConsumeOptions | null | undefined): ConsumeSettings {
  const doing = "consume jobs";
  const {
    concurrency = 1,
    prefetch,
    priorities = SERVED,
    maxAttempts = 5,
    maxDeliveries = 10,
    backoff = DEFAULT_BACKOFF,
    timeout,
    rateLimit,
    signal,
  } = checkOptions(options, CONSUME_OPTIONS, doing);
  checkFunction(handler, doing, "handler");
  checkWhole(concurrency, doing, "concurrency", 1);
  if (prefetch !== undefined) checkWhole(prefetch, doing, "prefetch", 0);
  checkWhole(maxAttempts, doing, "maxAttempts", 1);
  checkWhole(maxDeliveries, doing, "maxDeliveries", 1);
  if (timeout !== undefined) checkDuration(timeout, doing, "timeout", 1, MAX_TIMER);
  if (signal !== undefined) checkSignal(signal, doing);
  if (
    !Array.isArray(priorities) || priorities.length === 0 ||
    !Array.from(priorities).every((priority) => SERVED.includes(priority))
  ) {
    throw wrong(RangeError, `${doing} as 'priorities' must be some of "high", "normal", "low" and "keyed"`, priorities);
  }
  return {
    concurrency,
    prefetch,
    // The most urgent first, in whatever order they were given.
    priorities: PRIORITIES.filter((priority) => priorities.includes(priority)),
    keyed: priorities.includes("keyed"),
    maxAttempts,
    maxDeliveries,
    backoff: checkBackoff(backoff, doing),
    timeout,
    rateLimit: rateLimit && checkRateLimit(rateLimit, doing),
    signal,
  };
}

function checkRateLimit(rateLimit: RateLimit, doing: string): RateLimit {
  const { jobs, interval } = checkOptions(rateLimit, RATE_LIMIT, doing, "'rateLimit'");
  checkWhole(jobs, doing, "rateLimit.jobs", 1);
  checkDuration(interval, doing, "rateLimit.interval", 1, MAX_TIMER);
  return { jobs, interval };
}
