import type { Blows, History, Run } from "./_histories.ts";

/**
 * Why a job may run twice, by the queue's contract: (1) its worker died between effect and acknowledgement; (2) it was in flight when the single
 * server was killed, or was handed out in the very moment in which it was stopped; (3) its publish was repeated over a restart of the single server.
 */
export type Residual = 1 | 2 | 3;

/** Milliseconds within which an acknowledgement is confirmed while the server is there: an unanswered one is repeated each second. */
const ACKNOWLEDGED = 1_500;

/** Milliseconds within which a worker is connected again, and has repeated what was unanswered, once the server is back. */
const RECONNECTED = 2_500;

/** Milliseconds before a graceful stop within which what a job's worker says of its lease does not reach the server any more. */
const STOPPING = 250;

/** Milliseconds that a job may wait in its worker before it starts. */
const HELD = 1_200;

/** Why `second` could run although `first` had ended the job; `null` if the contract knows no such reason. */
export function residualOf(
  first: Run,
  second: Run,
  history: History,
  blows: Blows,
  replicated: boolean,
): Residual | null {
  const death = blows.workersKilled.find(({ pid }) => pid === first.pid);
  if (death && second.start >= death.from && openAt(first, death.from, blows)) return 1;
  if (replicated) return null;
  const down = blows.serversDown.find(({ how, from, at }) =>
    (how === "kill" || first.start >= from - STOPPING) &&
    first.start <= at + HELD && second.start >= at && openAt(first, from, blows)
  );
  if (down) return 2;
  const { publishes, confirmed } = history;
  const repeated = second.sequence > first.sequence && second.attempt <= first.attempt && publishes.length > 0 &&
    blows.serversDown.some(({ from, back }) => publishes[0].at <= back && (confirmed ?? Infinity) >= from);
  return repeated ? 3 : null;
}

/** Whether the end of a run may have been unconfirmed at a moment. */
function openAt(run: Run, moment: number, { serversDown }: Blows): boolean {
  // Its process may have been stopped before the end of the handler was noted.
  let until = (run.over ?? run.effect ?? Infinity) + ACKNOWLEDGED;
  for (const { from, back } of serversDown) {
    if (from <= until && back + RECONNECTED > until) until = back + RECONNECTED;
  }
  return moment <= until;
}
