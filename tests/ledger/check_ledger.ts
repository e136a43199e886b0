import { type Blows, type History, readHistories, type Run } from "./_histories.ts";
import type { Entry } from "./ledger_file.ts";
import { isFiredAgain, isKept, type Residual, residualOf, type Timing } from "./_residuals.ts";
import { isPublish } from "./plan.ts";

/** What is known at the end of a run. */
export interface Observation {
  /** Of all processes. */
  entries: Entry[];
  /** Attempts of the dead letters, by job id. */
  deadLetters: Map<string, number>;
  /** Jobs that a worker runs at the same time. */
  concurrency: number;
  /** Whether the queue has replicas: then no server forgets a delivery. */
  replicated: boolean;
  /** Milliseconds of the queue's lease. */
  lease: number;
  /**
   * Milliseconds by which the processes may be later than on an idle machine.
   * @default 0
   */
  slack?: number;
  /**
   * Whether some jobs are large.
   * @default false
   */
  large?: boolean;
}

/** A job that ended more than once, and why that may be. */
export interface Double {
  id: string;
  residual: Residual | 5;
}

/** What the ledgers prove. */
export interface Verdict {
  /** What contradicts the contract; empty: it was kept. */
  violations: string[];
  /** Jobs that ended more than once and may have, all of them. */
  doubles: Double[];
  /** Sums, for people. */
  counts: Record<string, number>;
}

/** Milliseconds by which a run may begin before its time: clocks of two processes differ a little. */
const EARLY = 25;

/** Share of the jobs that servers that go down may keep at most though they have ended. */
const MOST_KEPT = 0.02;

/** Jobs whose ends a worker may wait for to be confirmed, besides those that it runs; `ConsumeOptions` says so. */
const UNCONFIRMED = 256;

/** Milliseconds after a confirmed cancel within which a job that lay in a worker may still begin. */
const CANCEL_GRACE = 2_500;

/** Compares what the ledgers say with what the queue promises. */
export function checkLedger(observation: Observation): Verdict {
  const { entries, deadLetters, concurrency, replicated, lease, slack = 0, large = false } = observation;
  const timing: Timing = { replicated, lease, slack, large };
  const { histories, blows } = readHistories(entries);
  const violations: string[] = [];
  const doubles: Double[] = [];
  for (const id of deadLetters.keys()) {
    if (!histories.has(id)) violations.push(`${id} is a dead letter and was never published`);
  }
  const unpaid = new Map<number, number>();
  for (const history of histories.values()) {
    const deadAfter = deadLetters.get(history.id) ?? null;
    violations.push(
      ...checkEnd(history, deadAfter, blows, timing),
      ...checkRuns(history),
      ...checkChanges(history, deadAfter),
      ...checkDeath(history, deadAfter),
      ...checkBound(history, blows, timing),
    );
    for (const [first, second] of endedTwice(history, deadAfter)) {
      const residual = residualOf(first, second, history, blows, timing);
      if (residual === null) {
        violations.push(`${history.id} ended twice: ${describe(first)}, ${describe(second)}`);
        continue;
      }
      doubles.push({ id: history.id, residual: first.thrown !== second.thrown ? 5 : residual });
      // Where both are possible, nothing tells which it was.
      const certain = residual === 1 && !isKept(first.start, second.start, blows, timing);
      if (certain) unpaid.set(first.pid, (unpaid.get(first.pid) ?? 0) + 1);
    }
  }
  for (const [pid, jobs] of unpaid) {
    if (jobs > concurrency + UNCONFIRMED) {
      violations.push(`Process ${pid} cannot have died with ${jobs} jobs unacknowledged`);
    }
  }
  const kept = doubles.filter(({ residual }) => residual === 7).length;
  if (kept > Math.max(5, MOST_KEPT * histories.size)) violations.push(`${kept} jobs ran again that had ended`);
  return { violations, doubles, counts: count([...histories.values()], blows, deadLetters) };
}

/** Every confirmed job was processed, cancelled or is a dead letter. */
function checkEnd(history: History, deadAfter: number | null, blows: Blows, timing: Timing): string[] {
  const { id, publishes, confirmed, runs, cancels } = history;
  const violations: string[] = [];
  if (publishes.length === 0) violations.push(`${id} ran and was never published`);
  const processed = runs.some((run) => run.effect !== null);
  const cancelled = cancels.some(({ result }) => result !== false);
  if (confirmed !== null && !processed && deadAfter === null && !cancelled) {
    violations.push(`${id} is lost: ${runs.map(describe).join(", ") || "it never ran"}`);
  }
  const cancel = cancels.find(({ result }) => result === true);
  // A worker hears of it once it can be reached.
  const heard = (pid: number) =>
    blows.outages.filter((outage) => outage.pid === null || outage.pid === pid)
      .reduce(
        (time, { from, at }) => from <= time ? Math.max(time, at + CANCEL_GRACE + timing.slack) : time,
        cancel!.answered,
      );
  const late = cancel &&
    runs.find((run) =>
      run.start > heard(run.pid) + CANCEL_GRACE + timing.slack &&
      !isKept(cancel.answered, run.start, blows, timing) &&
      !(wasDelayed(history, run) && isFiredAgain(publishes[0].at, cancel.answered, run.start, blows, timing))
    );
  if (late) violations.push(`${id} was cancelled and came back: ${describe(late)}`);
  return violations;
}

/** Whether this run may have been delayed, at first or for its retry. */
function wasDelayed({ publishes, runs }: History, run: Run): boolean {
  return publishes.some(({ at, due }) => due > at) || runs.some(({ thrown, start }) => thrown && start < run.start);
}

/** No run is early, and each attempt follows the failure of the one before. */
function checkRuns({ id, publishes, runs }: History): string[] {
  const violations: string[] = [];
  const due = publishes[0]?.due ?? 0;
  for (const run of runs) {
    if (run.start < due - EARLY) violations.push(`${id} ran ${Math.round(due - run.start)} ms before its time`);
    if (run.attempt > 1 && !runs.some((other) => other.thrown && other.attempt === run.attempt - 1)) {
      violations.push(`${id} lost an attempt: ${describe(run)} follows no failure`);
    }
  }
  return violations;
}

/** A job that was rescheduled does not run earlier, and one that was updated or replaced is processed with the new data. */
function checkChanges({ id, publishes, runs, changes, replaces }: History, deadAfter: number | null): string[] {
  return changes.flatMap(({ how, due, answered }) => {
    // What an unconfirmed attempt has published has a moment of its own.
    const moved = how === "debounce" ? runs.filter(({ version }) => version === 1 && replaces === 1) : runs;
    const early = moved.find(({ start }) => start > answered && start < due - EARLY);
    if (early) return [`${id} was ${how}d and ran ${Math.round(due - early.start)} ms before its time`];
    const ended = runs.filter(({ effect, thrown, attempt }) => effect !== null || thrown && attempt === deadAfter);
    // The new one may have died without a run.
    const hasNewData = how === "update" || isPublish(how) && !publishes.some(({ mayDie }) => mayDie);
    const isOld = hasNewData && ended.some(({ effect }) => effect !== null) &&
      ended.every(({ version }) => version !== 1);
    return isOld ? [`${id} was ${how}d and ran with the old data: ${ended.map(describe).join(", ")}`] : [];
  });
}

/** A dead letter has a cause: its last attempt failed. */
function checkDeath({ id, publishes, runs }: History, deadAfter: number | null): string[] {
  if (deadAfter === null || publishes.length === 0) return [];
  const { mayDie, maxAttempts } = publishes[0];
  const failed = runs.some((run) => run.thrown && run.attempt === deadAfter);
  return mayDie && failed && deadAfter <= maxAttempts
    ? []
    : [`${id} is a dead letter after attempt ${deadAfter} without a cause: ${runs.map(describe).join(", ")}`];
}

/** No attempt beyond the last one, and of a job that may die, which is never postponed, none twice without a reason. */
function checkBound(history: History, blows: Blows, timing: Timing): string[] {
  const { id, publishes, runs } = history;
  if (publishes.length === 0) return [];
  const { mayDie, maxAttempts } = publishes[0];
  const beyond = runs.filter(({ attempt }) => attempt > maxAttempts);
  const violations = beyond.map((run) => `${id} has ${maxAttempts} attempts and ran ${describe(run)}`);
  if (!mayDie) return violations;
  const failed = runs.filter(({ thrown }) => thrown);
  for (const second of failed) {
    const first = failed.find((run) =>
      run.attempt === second.attempt && run.start < second.start && run.version === second.version
    );
    if (second.version === 1 && history.replaces > 1) continue;
    if (first && residualOf(first, second, history, blows, timing) === null) {
      violations.push(`${id} failed attempt ${second.attempt} twice: ${describe(first)}, ${describe(second)}`);
    }
  }
  return violations;
}

/**
 * Pairs of runs, the later one after the earlier one, that both ended the job. One that was published anew in place of itself has an end of its own, and
 * so has each repeat of that.
 */
function endedTwice({ runs, replaces }: History, deadAfter: number | null): [Run, Run][] {
  const processed = runs.some((run) => run.effect !== null);
  const ends = runs.filter((run) =>
    run.effect !== null || (processed && deadAfter !== null && run.thrown && run.attempt === deadAfter)
  );
  const old = ends.filter(({ version }) => version !== 1);
  const anew = ends.filter(({ version }) => version === 1).slice(replaces - 1);
  return (replaces > 0 ? [old, anew] : [ends]).flatMap(pairsOf);
}

function pairsOf(ends: Run[]): [Run, Run][] {
  return ends.slice(1).map((second, i) => [ends[i], second]);
}

function describe({ pid, sequence, deliveries, attempt, start, effect, over, thrown }: Run): string {
  const ended = effect !== null ? `effect after ${Math.round(effect - start)} ms` : thrown ? "thrown" : "no effect";
  return `[process ${pid}, sequence ${sequence}, delivery ${deliveries}, attempt ${attempt}, at ${
    new Date(start).toISOString().slice(11, -1)
  }: ${ended}${over === null ? ", not over" : ""}]`;
}

function count(histories: History[], { workersKilled, serversDown, outages }: Blows, deadLetters: Map<string, number>) {
  const of = (which: (history: History) => boolean) => histories.filter(which).length;
  const runs = histories.flatMap((history) => history.runs);
  return {
    "jobs confirmed": of(({ confirmed }) => confirmed !== null),
    "publishes not confirmed and repeated": histories.reduce(
      (sum, job) => sum + Math.max(0, job.publishes.length - 1),
      0,
    ),
    "jobs processed": of(({ runs }) => runs.some(({ effect }) => effect !== null)),
    "jobs cancelled": of(({ cancels }) => cancels.some(({ result }) => result === true)),
    "jobs changed": of(({ changes }) => changes.length > 0),
    "dead letters": deadLetters.size,
    "runs": runs.length,
    "runs that failed or moved": runs.filter(({ thrown }) => thrown).length,
    "runs cut short": runs.filter(({ over }) => over === null).length,
    "workers killed": workersKilled.length,
    "servers killed": serversDown.filter(({ how }) => how === "kill").length,
    "servers restarted": serversDown.filter(({ how }) => how === "stop").length,
    "outages": outages.length,
  };
}
