import { POSTPONE_DELAY_MS, RetryJobError, UnrecoverableJobError } from "../../errors.ts";
import { guarded, messageOf } from "../../shown.ts";

/** Characters of a failure's message that are kept. */
export const MAX_REASON = 2_000;

/** Characters of a failure's stack that are kept. */
export const MAX_STACK = 8_000;

/** What a failed run says, read once: a thrown value can be anything, and each of its properties can throw. */
export interface Failure {
  /** `failed` counts as an attempt, `unrecoverable` is the last one, `postponed` does not count. */
  readonly kind: "failed" | "unrecoverable" | "postponed";
  /** The error's message. */
  readonly reason: string;
  /** The error's stack, if it has one. */
  readonly stack: string | undefined;
  /** Milliseconds until a postponed job runs again. */
  readonly delay: number;
}

/** Reads what a handler threw. Never throws. */
export function readFailure(thrown: unknown): Failure {
  const kind = guarded(() => kindOf(thrown)) ?? "failed";
  const delay = kind === "postponed" ? guarded(() => (thrown as RetryJobError).delay) : 0;
  return {
    kind,
    reason: messageOf(thrown).slice(0, MAX_REASON),
    stack: stackOf(thrown)?.slice(0, MAX_STACK),
    delay: typeof delay === "number" && delay >= 0 ? delay : POSTPONE_DELAY_MS,
  };
}

function kindOf(thrown: unknown): Failure["kind"] {
  if (thrown instanceof RetryJobError) return "postponed";
  return thrown instanceof UnrecoverableJobError ? "unrecoverable" : "failed";
}

function stackOf(thrown: unknown): string | undefined {
  const stack: unknown = guarded(() => thrown instanceof Error ? thrown.stack : undefined);
  return typeof stack === "string" ? stack : undefined;
}
