import type { Blows, History, Run } from "./_histories.ts";

/**
 * Why a job may run twice, by the queue's contract: (1) its worker died between effect and acknowledgement; (2) it was in flight when the single
 * server was killed or its consumer deleted, or was handed out in the very moment in which the server was stopped: its first worker runs it, or puts
 * it back; (3) its publish was repeated over a restart of a server, or when the server had forgotten its message id; (4) its worker was suspended, or
 * could not reach the server, for longer than its lease; (7) the single server went down after the job had ended, and kept a message of it; or a
 * replica was killed, has its delayed message back and fires it once it leads, and the worker that ended the job cannot be asked any more. A server
 * that is killed does so again and again where large messages were removed meanwhile, as the removals that stood in the same block are lost with it
 * (nats-server 2.15.2: 14 of 3180).
 */
export type Residual = 1 | 2 | 3 | 4 | 7;

/** What the times of a run are measured by. */
export interface Timing {
  /** Whether the queue has replicas: then no server forgets a delivery. */
  replicated: boolean;
  /** Milliseconds of the queue's lease. */
  lease: number;
  /** Milliseconds by which the processes may be later than on an idle machine. */
  slack: number;
  /** Whether there are large messages: then a server that goes down may keep messages of what had ended. */
  large: boolean;
}

/** Milliseconds within which an acknowledgement is confirmed while the server is there: an unanswered one is repeated each second. */
const ACKNOWLEDGED = 1_500;

/** Milliseconds within which a worker is connected again, and has repeated what was unanswered, once the server is back. */
const RECONNECTED = 2_500;

/** Milliseconds before a graceful stop within which what a job's worker says of its lease does not reach the server any more. */
const STOPPING = 250;

/** Milliseconds that a job may wait in its worker before it starts. */
const HELD = 1_200;

/** Milliseconds after which the server forgets the message id of a publish. */
const REMEMBERED = 30_000;

/** Why `second` could run although `first` had ended the job; `null` if the contract knows no such reason. */
export function residualOf(
  first: Run,
  second: Run,
  history: History,
  blows: Blows,
  timing: Timing,
): Residual | null {
  if (isRemembered(first, second, blows)) return null;
  const isOpenAt = (moment: number) => openAt(first, moment, blows, timing.slack);
  const death = blows.workersKilled.find(({ pid }) => pid === first.pid);
  if (death && second.start >= death.from && isOpenAt(death.from)) return 1;
  if (outlastsLease(first, second, blows, timing) !== undefined) return 4;
  const forgotten = blows.forgotten.some(({ from, at }) =>
    first.start <= at + HELD + timing.slack && second.start >= from && isOpenAt(from)
  );
  if (forgotten) return 2;
  const down = !timing.replicated &&
    blows.serversDown.find(({ how, from, at }) =>
      (how === "kill" || first.start >= from - STOPPING - timing.slack) &&
      first.start <= at + HELD + timing.slack && second.start >= at && isOpenAt(from)
    );
  if (down || isGivenBack(first, second, history, blows, timing)) return 2;
  const mayBeRepeat = second.sequence > first.sequence && second.attempt <= first.attempt;
  const { publishes, confirmed } = history;
  const repeated = mayBeRepeat && publishes.length > 0 &&
    blows.serversDown.some(({ from, back }) => publishes[0].at <= back && (confirmed ?? Infinity) >= from);
  if (repeated || (mayBeRepeat && isRepeatedLate(history, second.start, timing))) return 3;
  const mayFireAgain = !timing.replicated || isGone(first, second.start, blows, timing);
  // What is there again may be a message from before a change, or before a retry.
  const removed = Math.min(...history.runs.map(({ start }) => start), history.changedFrom);
  return isKept(removed, second.start, blows, timing) && mayFireAgain ? 7 : null;
}

/** Whether a worker may have had the job when the single server was killed and forgot that, and have put it back while `first` ran elsewhere. */
function isGivenBack(first: Run, second: Run, { publishes }: History, { serversDown }: Blows, timing: Timing): boolean {
  const { replicated, lease, slack } = timing;
  const isCopy = second.sequence > first.sequence && second.attempt <= first.attempt &&
    second.start <= first.start + lease + slack;
  return !replicated && publishes.length > 0 && isCopy &&
    serversDown.some(({ how, at, back }) =>
      how === "kill" && publishes[0].at <= at && first.start >= at && first.start <= back + lease + slack
    );
}

/** Whether the process of a run could not be asked at a moment what it has ended. */
function isGone({ pid }: Run, moment: number, { workersKilled, outages }: Blows, { slack }: Timing): boolean {
  return workersKilled.some((death) => death.pid === pid && death.from <= moment) ||
    outages.some((outage) => outage.pid === pid && outage.from <= moment && moment <= outage.at + RECONNECTED + slack);
}

/** Whether the publish was repeated before a moment when its message id was forgotten. */
function isRepeatedLate({ publishes }: History, moment: number, { slack }: Timing): boolean {
  const calls = publishes.map(({ at }) => at).filter((at) => at <= moment);
  return Math.max(...calls) - Math.min(...calls) + slack >= REMEMBERED;
}

/** Whether a server that went down between two moments may have kept a message that had been removed. */
export function isKept(from: number, to: number, { serversDown }: Blows, { large }: Timing): boolean {
  return large && serversDown.some((down) => from <= down.at && to >= down.from);
}

/** Whether a replica that was killed may fire a delayed message that was removed at a moment: once it leads, as another server goes down. */
export function isFiredAgain(
  published: number,
  removed: number,
  to: number,
  { serversDown }: Blows,
  { replicated }: Timing,
): boolean {
  const hasIt = serversDown.some(({ how, from, back }) => how === "kill" && published <= back && from <= to);
  return replicated && hasIt && serversDown.some(({ from, back }) => removed <= back && from <= to);
}

/** Whether the process of both runs knows that the first one has ended: then nothing explains the second. */
function isRemembered(first: Run, second: Run, { outages }: Blows): boolean {
  if (first.pid !== second.pid || first.sequence !== second.sequence || first.over === null) return false;
  const over = first.over;
  const suspended = outages.some(({ how, pid, from, at }) =>
    how === "suspended" && pid === first.pid && from <= over && at >= first.start
  );
  return second.start > over && !suspended;
}

/** The outage in which the lease of `first` could end. A lease is extended once less than 60 % of it are left. */
function outlastsLease(first: Run, second: Run, blows: Blows, { lease, slack }: Timing) {
  return blows.outages.find(({ how, pid, from, at }) =>
    how !== "slow" && (pid === null || pid === first.pid) && at + RECONNECTED + slack - from >= lease * 0.5 &&
    first.start <= at && second.start >= from && openAt(first, from, blows, slack)
  );
}

/** Whether the end of a run may have been unconfirmed at a moment. */
function openAt(run: Run, moment: number, { serversDown, outages }: Blows, slack: number): boolean {
  // Its process may have been stopped before the end of the handler was noted.
  let until = (run.over ?? run.effect ?? Infinity) + ACKNOWLEDGED + slack;
  const own = outages.filter(({ pid }) => pid === null || pid === run.pid).map(({ from, at }) => ({ from, back: at }));
  for (const { from, back } of [...serversDown, ...own].toSorted((a, b) => a.from - b.from)) {
    if (from <= until && back + RECONNECTED + slack > until) until = back + RECONNECTED + slack;
  }
  return moment <= until;
}
