import type { Priority } from "../../mod.ts";

/** What a job of the ledger's run goes through, by its number and the seed alone. */
export interface Plan {
  /**
   * `plain`: has its effect at once. `flaky`: fails first. `moving`: asks to run later, now and then more than once. `doomed`: fails each time.
   * `refused`: gives up at once. `coin`: has one attempt, which fails in some processes and not in others.
   */
  kind: "plain" | "flaky" | "moving" | "doomed" | "refused" | "coin";
  priority: Priority;
  /** Milliseconds until it is ready. */
  delay: number;
  /** Milliseconds after its publish when it is cancelled, or `null`. */
  cancelAfter: number | null;
  /** How it is changed, and how many milliseconds after its publish; or `null`. */
  change: { how: Change; after: number } | null;
  /** Milliseconds that a run takes. */
  work: number;
  /** Attempts that it has. */
  maxAttempts: number;
  /** Bytes of ballast, where jobs may be large. */
  ballast: number;
}

/** What is done to a delayed job, or soon after its publish to any. */
export type Change = "promote" | "reschedule" | "update" | "replace" | "debounce";

const CHANGES: readonly (Change | null)[] = [null, "promote", "reschedule", "update", "replace", "debounce"];

/** Whether a change publishes the job anew: it runs once more if it was active, or had ended. */
export function isPublish(change: Change): boolean {
  return change === "replace" || change === "debounce";
}

/** How a run goes. */
export type Outcome = "effect" | "fail" | "refuse" | { later: number };

/** A number in [0, 1) that depends on nothing but its arguments. */
export function random(...of: number[]): number {
  let hash = 0x9e3779b9;
  for (const number of of) {
    hash = Math.imul(hash ^ (number | 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}

/** What the job of this number goes through. */
export function planOf(seed: number, number: number): Plan {
  const draw = (what: number) => random(seed, number, what);
  const kinds = ["plain", "flaky", "moving", "doomed", "refused", "coin"] as const;
  const kind = kinds[[0.6, 0.75, 0.9, 0.94, 0.96, 1].findIndex((below) => draw(1) < below)];
  const slow = draw(2) < 0.03;
  const delay = draw(4) < 0.12 ? Math.ceil(draw(5) * 1_500) : 0;
  const cancelAfter = draw(6) < 0.06 ? draw(7) * 800 : null;
  const how = CHANGES[Math.floor(draw(12) * CHANGES.length)];
  const isChanged = delay > 0 || draw(14) < 0.06;
  return {
    kind,
    priority: (["high", "normal", "low"] as const)[Math.floor(draw(3) * 3)],
    delay,
    cancelAfter,
    change: how !== null && isChanged && cancelAfter === null ? { how, after: draw(13) * (delay || 20) } : null,
    work: slow ? 200 + draw(8) * 600 : draw(8) * 15,
    maxAttempts: kind === "coin" ? 1 : kind === "doomed" ? 2 : 5,
    ballast: draw(10) < 0.04 ? Math.floor(draw(11) * 700_000) : 0,
  };
}

/** Whether a job may end as a dead letter. */
export function mayDie({ kind }: Plan): boolean {
  return kind === "doomed" || kind === "refused" || kind === "coin";
}

/** How a run of it goes. Two runs of one message go the same way in every process, save those of a `coin`. */
export function outcomeOf(
  seed: number,
  number: number,
  run: { attempt: number; sequence: number; pid: number },
): Outcome {
  switch (planOf(seed, number).kind) {
    case "plain":
      return "effect";
    case "flaky":
      return run.attempt <= 1 + Math.floor(random(seed, number, 9) * 2) ? "fail" : "effect";
    case "moving":
      return random(seed, number, run.sequence) < 0.6 ? { later: random(seed, run.sequence) * 300 } : "effect";
    case "doomed":
      return "fail";
    case "refused":
      return "refuse";
    case "coin":
      return random(seed, number, run.pid) < 0.5 ? "fail" : "effect";
  }
}
