import { assert, assertEquals, assertMatch } from "@std/assert";
import { checkLedger, type Observation, type Verdict } from "./check_ledger.ts";
import type { Entry, Outage, RunEntry } from "./ledger_file.ts";
import type { Change } from "./plan.ts";

const JOB = "job.1";

/** A moment, in seconds since the beginning of the fabricated run. */
function at(second: number): number {
  return Date.UTC(2026, 0, 1) + second * 1_000;
}

function published(second: number, options: { due?: number; mayDie?: boolean; maxAttempts?: number } = {}): Entry {
  const { due = second, mayDie = false, maxAttempts = 5 } = options;
  return { what: "publish", id: JOB, at: at(second), due: at(due), mayDie, maxAttempts };
}

function receipt(second: number): Entry {
  return { what: "receipt", id: JOB, at: at(second), sequence: 1, duplicate: false };
}

/** A confirmed job. */
function confirmed(options?: { due?: number; mayDie?: boolean; maxAttempts?: number }): Entry[] {
  return [published(0, options), receipt(0.01)];
}

function cancelled(second: number, result: boolean | null): Entry[] {
  return [{ what: "cancel", id: JOB, at: at(second) }, { what: "cancelled", id: JOB, at: at(second), result }];
}

/** A change that was made a tenth of a second after its call. */
function changed(second: number, how: Change, due = 0, result: boolean | null = true): Entry {
  return { what: "changed", id: JOB, how, due: at(due), at: at(second), answered: at(second) + 100, result };
}

interface RunOptions {
  pid?: number;
  sequence?: number;
  deliveries?: number;
  attempt?: number;
  /** Of its data. */
  version?: number;
  /** Its last lines: how it went. */
  went?: RunEntry["what"][];
}

let runs = 0;

/** A run that begins at a moment and takes 10 ms. */
function run(second: number, options: RunOptions = {}): Entry[] {
  const { pid = 1, sequence = 1, deliveries = 1, attempt = 1, version, went = ["effect", "end"] } = options;
  const fence = sequence * 1024 + deliveries;
  const number = ++runs;
  return (["start", ...went] as const).map((what, i) => (
    { what, id: JOB, at: at(second) + i * 5, pid, run: number, sequence, deliveries, attempt, fence, version }
  ));
}

function failed(second: number, options: RunOptions = {}): Entry[] {
  return run(second, { went: ["thrown"], ...options });
}

function workerKilled(second: number, pid = 1): Entry {
  return { what: "worker_killed", pid, from: at(second), at: at(second) + 5 };
}

function serverDown(second: number, how: "kill" | "stop" = "kill"): Entry {
  return { what: "server_down", how, from: at(second), at: at(second) + 10, back: at(second) + 300 };
}

function check(entries: Entry[][], options: Partial<Observation> = {}): Verdict {
  return checkLedger({
    entries: entries.flat(),
    deadLetters: new Map(),
    concurrency: 2,
    replicated: false,
    lease: 5_000,
    ...options,
  });
}

function assertKept(verdict: Verdict, doubles: number[] = []): void {
  assertEquals(verdict.violations, []);
  assertEquals(verdict.doubles, doubles.map((residual) => ({ id: JOB, residual })));
}

function assertBroken({ violations }: Verdict, ...messages: RegExp[]): void {
  assertEquals(violations.length, messages.length, violations.join("\n"));
  messages.forEach((message, i) => assertMatch(violations[i], message));
}

Deno.test("checkLedger accepts a job that was processed, retried, cancelled or dead, and counts it", () => {
  const verdict = check([confirmed(), failed(1), run(2, { attempt: 2, sequence: 5 })]);
  assertKept(verdict);
  assertEquals(verdict.counts["jobs confirmed"], 1);
  assertEquals(verdict.counts["jobs processed"], 1);
  assertEquals(verdict.counts["runs that failed or moved"], 1);
  assertKept(check([confirmed(), cancelled(0.5, true)]));
  assertKept(check([confirmed({ mayDie: true, maxAttempts: 1 }), failed(1)], { deadLetters: new Map([[JOB, 1]]) }));
  assertKept(check([[published(0), { what: "unconfirmed", id: JOB, at: at(5) }]]));
});

Deno.test("checkLedger rejects a confirmed job of which nothing is left", () => {
  assertBroken(check([confirmed()]), /job\.1 is lost: it never ran/);
  assertBroken(check([confirmed(), failed(1)]), /is lost/);
  assertBroken(check([confirmed(), run(1, { went: ["aborted"] })]), /is lost/);
});

Deno.test("checkLedger accepts a second run after an outage of the worker that outlasts the lease, and no other", () => {
  const outage = (seconds: number, options: Partial<Outage> = {}): Entry[] => [
    { what: "outage", how: "unreachable", pid: 1, from: at(1.002), at: at(1.002 + seconds), ...options },
  ];
  const ranTwice = [confirmed(), run(1), run(7, { pid: 2, deliveries: 2 })];
  assertKept(check([...ranTwice, outage(6)]), [4]);
  assertKept(check([...ranTwice, outage(6, { how: "suspended" })], { replicated: true }), [4]);
  assertKept(check([...ranTwice, outage(6, { pid: null })]), [4]);
  assertBroken(check([...ranTwice, outage(6)], { lease: 60_000 }), /ended twice/);
  assertBroken(check([...ranTwice, outage(6, { pid: 2 })]), /ended twice/);
  assertBroken(check([...ranTwice, outage(6, { how: "slow" })]), /ended twice/);
});

Deno.test("checkLedger accepts a second run of what was in flight when its consumer was deleted", () => {
  const deleted: Entry = { what: "deliveries_forgotten", from: at(1.004), at: at(1.01) };
  const timing = { replicated: true, lease: 60_000 };
  assertKept(check([confirmed(), run(1), [deleted], run(1.5, { pid: 2 })], timing), [2]);
  assertBroken(check([confirmed(), run(3), [deleted], run(3.5, { pid: 2 })], timing), /ended twice/);
});

Deno.test("checkLedger accepts no second run in a process that has seen the end of the first one", () => {
  const ranTwice = [confirmed(), run(1), [serverDown(1.005)], run(1.4, { deliveries: 2 })];
  assertBroken(check(ranTwice), /ended twice/);
  const suspended: Entry = { what: "outage", how: "suspended", pid: 1, from: at(1.001), at: at(1.3) };
  assertKept(check([...ranTwice, [suspended]], { lease: 60_000 }), [2]);
});

Deno.test("checkLedger excuses an unconfirmed cancel, and no cancel that found no job", () => {
  assertBroken(check([confirmed(), cancelled(0.5, false)]), /is lost/);
  assertKept(check([confirmed(), cancelled(0.5, null), cancelled(0.7, false)]));
});

Deno.test("checkLedger rejects a cancelled job that comes back", () => {
  assertKept(check([confirmed(), cancelled(0.5, true), run(0.6)]));
  assertBroken(check([confirmed(), cancelled(0.5, true), run(4)]), /was cancelled and came back/);
});

Deno.test("checkLedger accepts a cancelled job that comes back where a killed replica may have it as a delayed one", () => {
  const delayed = [confirmed({ due: 0.4 }), cancelled(0.5, true), run(9)];
  const replicated = { replicated: true };
  const downs = [serverDown(1), serverDown(8, "stop")];
  assertKept(check([...delayed, downs], replicated));
  for (const entries of [delayed, [...delayed, [serverDown(8, "stop")]], [...delayed, [serverDown(9.5)]]]) {
    assertBroken(check(entries, replicated), /was cancelled and came back/);
  }
  assertBroken(check([...delayed, downs]), /was cancelled and came back/);
  assertBroken(check([confirmed(), cancelled(0.5, true), run(9), downs], replicated), /was cancelled and came back/);
});

Deno.test("checkLedger rejects a job without a publish, and its dead letter", () => {
  assertBroken(check([run(1)]), /ran and was never published/);
  assertBroken(check([], { deadLetters: new Map([["job.9", 1]]) }), /job\.9 is a dead letter and was never published/);
});

Deno.test("checkLedger rejects a second effect that nothing explains", () => {
  const twice = [confirmed(), run(1), run(2, { pid: 2, deliveries: 2 })];
  assertBroken(check(twice), /ended twice: \[process 1, sequence 1, delivery 1.*\[process 2, sequence 1, delivery 2/);
  assertBroken(check([...twice, [workerKilled(1.5, 3)]]), /ended twice/);
  assertBroken(check([...twice, [workerKilled(9)]]), /ended twice/);
  assertBroken(check([...twice, [serverDown(1.5, "stop")]]), /ended twice/);
  assertBroken(check([...twice, [serverDown(9)]]), /ended twice/);
});

Deno.test("checkLedger names a second effect after the worker died between effect and acknowledgement", () => {
  const died = [workerKilled(1.1)];
  assertKept(check([confirmed(), run(1), died, run(5, { pid: 2, deliveries: 2 })]), [1]);
  assertKept(check([confirmed(), run(1, { went: ["effect"] }), died, run(5, { pid: 2, deliveries: 2 })]), [1]);
  // The second one ran before the death: it is not its consequence.
  assertBroken(check([confirmed(), run(1), run(1.05, { pid: 2, deliveries: 2 }), died]), /ended twice/);
  // The acknowledgement had time enough.
  assertBroken(check([confirmed(), run(1), [workerKilled(4)], run(8, { pid: 2, deliveries: 2 })]), /ended twice/);
  // It had not, as the server was away.
  assertKept(
    check([confirmed(), run(1), [serverDown(1.2, "stop"), workerKilled(2.5)], run(8, { pid: 2, deliveries: 2 })]),
    [1],
  );
});

Deno.test("checkLedger rejects more jobs unacknowledged by a dead worker than it runs at a time, and may have unconfirmed", () => {
  const jobs = Array.from(
    { length: 259 },
    (_, id) =>
      [confirmed(), run(1), run(5, { pid: 2, deliveries: 2 })].flat().map((entry) =>
        ({ ...entry, id: `${id}` }) as Entry
      ),
  );
  const verdict = check([...jobs, [workerKilled(1.1)]]);
  assertBroken(verdict, /Process 1 cannot have died with 259 jobs unacknowledged/);
  assertEquals(verdict.doubles.length, 259);
  assertEquals(check([...jobs.slice(1), [workerKilled(1.1)]]).violations, []);
});

Deno.test("checkLedger names a second effect of a job that was in flight when the single server was killed", () => {
  const killed = [serverDown(1.005)];
  assertKept(check([confirmed(), run(1), killed, run(1.4, { pid: 2 })]), [2]);
  // Handed out in the moment in which the server was stopped.
  assertKept(check([confirmed(), run(1), [serverDown(1.1, "stop")], run(1.6, { pid: 2, deliveries: 2 })]), [2]);
  assertBroken(
    check([confirmed(), run(1), [serverDown(1.3, "stop")], run(1.6, { pid: 2, deliveries: 2 })]),
    /ended twice/,
  );
  // A third worker had it when the server was killed, and put it back.
  assertKept(check([confirmed(), [serverDown(0.5)], run(3), run(3.1, { sequence: 9 })]), [2]);
  assertBroken(check([confirmed(), [serverDown(0.5)], run(3), run(9, { sequence: 9 })]), /ended twice/);
  assertBroken(check([confirmed(), [serverDown(0.5)], run(7), run(7.1, { sequence: 9 })]), /ended twice/);
  assertBroken(check([confirmed(), [serverDown(0.5, "stop")], run(3), run(3.1, { sequence: 9 })]), /ended twice/);
  // It began long after the server was back.
  assertBroken(check([confirmed(), run(3), killed, run(4, { pid: 2 })]), /ended twice/);
  // The second one began before the server was killed.
  assertBroken(check([confirmed(), run(1), run(1.002, { pid: 2 }), killed]), /ended twice/);
});

Deno.test("checkLedger takes the death of a server for no excuse where there are replicas, but that of a worker, and a repeated publish", () => {
  const replicated = { replicated: true };
  assertBroken(check([confirmed(), run(1), [serverDown(1.005)], run(1.4, { pid: 2 })], replicated), /ended twice/);
  const repeated = [published(0), published(0.6), receipt(1)];
  assertKept(check([repeated, run(0.1), [serverDown(0.5)], run(1.1, { sequence: 7 })], replicated), [3]);
  assertBroken(check([repeated, run(0.1), run(1.1, { sequence: 7 })], replicated), /ended twice/);
  assertKept(check([confirmed(), run(1), [workerKilled(1.1)], run(5, { pid: 2, deliveries: 2 })], replicated), [1]);
});

Deno.test("checkLedger names a second effect of a publish that was repeated after its message id was forgotten", () => {
  const repeated = (last: number) => [
    published(0),
    published(15),
    published(last),
    ...run(1),
    ...run(last + 1, { pid: 2, sequence: 9 }),
  ];
  assertEquals(check([repeated(31)], { replicated: true }).doubles, [{ id: JOB, residual: 3 }]);
  assertBroken(check([repeated(29)], { replicated: true }), /ended twice/);
});

Deno.test("checkLedger names a second effect of a publish that was repeated over a restart of a server", () => {
  const repeated = [published(0), { what: "unconfirmed", id: JOB, at: at(0.5) } as Entry, published(0.6), receipt(1)];
  const restarted = [serverDown(0.4, "stop")];
  assertKept(check([repeated, run(0.1), restarted, run(1.1, { sequence: 7 })]), [3]);
  // Of the same message: no repeat can be the cause.
  assertBroken(check([repeated, run(0.1), restarted, run(1.1)]), /ended twice/);
  // A moved copy: its attempt went on.
  assertBroken(
    check([repeated, run(0.1), failed(0.2), restarted, run(1.1, { sequence: 7, attempt: 2 })]),
    /ended twice/,
  );
  // Confirmed before the restart.
  assertBroken(check([confirmed(), run(0.1), restarted, run(1.1, { sequence: 7 })]), /ended twice/);
});

Deno.test("checkLedger rejects a second effect of a redelivered job that ran when the server was restarted or changed", () => {
  const restarted = [serverDown(1.5, "stop")];
  const twice = [confirmed(), run(1, { deliveries: 2 }), restarted, run(1.9, { pid: 2, deliveries: 3 })];
  assertBroken(check(twice), /ended twice/);
  assertBroken(check(twice, { replicated: true }), /ended twice/);
});

Deno.test("checkLedger names a job that was processed and became a dead letter too, if its double run is explained", () => {
  const options = { deadLetters: new Map([[JOB, 1]]) };
  const coin = confirmed({ mayDie: true, maxAttempts: 1 });
  assertKept(check([coin, run(1), [serverDown(1.005)], failed(1.4, { pid: 2 })], options), [5]);
  assertBroken(check([coin, run(1), failed(1.4, { pid: 2 })], options), /ended twice/);
});

Deno.test("checkLedger rejects a run before its time and an attempt that follows no failure", () => {
  assertBroken(check([confirmed({ due: 2 }), run(1.5)]), /ran 500 ms before its time/);
  assertBroken(check([confirmed(), run(1, { attempt: 2 })]), /lost an attempt/);
});

Deno.test("checkLedger rejects a dead letter without a cause", () => {
  const options = { deadLetters: new Map([[JOB, 1]]) };
  assertBroken(check([confirmed(), failed(1)], options), /without a cause/);
  assertBroken(check([confirmed({ mayDie: true }), run(1, { went: ["aborted"] })], options), /without a cause/);
  assertBroken(
    check([confirmed({ mayDie: true, maxAttempts: 1 }), failed(1), failed(2, { attempt: 2 })], {
      deadLetters: new Map([[JOB, 2]]),
    }),
    /without a cause/,
    /has 1 attempts and ran .* attempt 2/,
  );
});

Deno.test("checkLedger rejects more calls of a handler than a job has attempts, but for a reason", () => {
  const dead = (attempts: number) => ({ deadLetters: new Map([[JOB, attempts]]) });
  const job = confirmed({ mayDie: true, maxAttempts: 2 });
  assertKept(check([job, failed(1), failed(2, { attempt: 2, sequence: 5 })], dead(2)));
  assertBroken(check([job, failed(1), failed(2, { pid: 2 })], dead(1)), /failed attempt 1 twice/);
  assertKept(check([job, failed(1), [workerKilled(1.1)], failed(7, { pid: 2, deliveries: 2 })], dead(1)));
  assertBroken(check([confirmed(), failed(1), run(2, { attempt: 6 })]), /lost an attempt/, /has 5 attempts and ran/);
});

Deno.test("checkLedger does not depend on the order in which the ledgers are read", () => {
  const entries = [confirmed(), run(1), [serverDown(1.005)], run(1.4, { pid: 2 })].flat();
  const verdict = check([entries]);
  assertEquals(check([entries.toReversed()]), verdict);
  assert(verdict.doubles.length === 1);
});

Deno.test("checkLedger names a job that ended and that a single server that went down kept, where jobs are large", () => {
  const entries = [confirmed(), run(1), [serverDown(60)], run(70, { pid: 2, sequence: 9 })];
  assertKept(check(entries, { large: true }), [7]);
  assertBroken(check(entries), /job.1 ended twice/);
  const replicated = { large: true, replicated: true };
  assertBroken(check(entries, replicated), /job.1 ended twice/);
  assertKept(check([...entries, [workerKilled(65)]], replicated), [7]);
  assertBroken(check([...entries, [workerKilled(75)]], replicated), /job.1 ended twice/);
  const outage: Outage = { what: "outage", how: "unreachable", pid: 1, from: at(69), at: at(69.5) };
  assertKept(check([...entries, [outage]], replicated), [7]);
  assertBroken(check([...entries, [{ ...outage, pid: 2 }]], replicated), /job.1 ended twice/);
  assertBroken(check([confirmed(), run(1), run(70, { pid: 2 })], { large: true }), /job.1 ended twice/);
  const changedOne = [
    confirmed(),
    [changed(1, "update")],
    [serverDown(60)],
    run(70),
    run(71, { sequence: 9, version: 1 }),
  ];
  assertKept(check(changedOne, { large: true }), [7]);
  assertBroken(check(changedOne), /job.1 ended twice/);
  assertBroken(check(changedOne, replicated), /job.1 ended twice/);
  // The change that may have been made was not confirmed.
  const unconfirmed = [confirmed(), [changed(1, "update", 0, null), serverDown(60), changed(61, "update")]];
  const bothRun = [...unconfirmed, run(70), run(71, { sequence: 9, version: 1 })];
  assertKept(check(bothRun, { large: true }), [7]);
  assertBroken(check(bothRun), /job.1 ended twice/);
  const retriedOne = [confirmed(), failed(1), [serverDown(60)], run(70, { sequence: 9 }), run(71, { sequence: 10 })];
  assertKept(check(retriedOne, { large: true }), [7]);
  assertBroken(check(retriedOne), /job.1 ended twice/);
  const cancelledOne = [confirmed(), cancelled(1, true), [serverDown(60)], run(70)];
  assertKept(check(cancelledOne, { large: true }));
  assertBroken(check(cancelledOne), /was cancelled and came back/);
});

Deno.test("checkLedger rejects a rescheduled job that runs early, and an updated one that runs with its old data only", () => {
  assertKept(check([confirmed(), [changed(1, "promote")], run(1.05)]));
  assertKept(check([confirmed(), [changed(1, "reschedule", 5)], run(5)]));
  assertBroken(check([confirmed(), [changed(1, "reschedule", 5)], run(4)]), /was rescheduled and ran 1000 ms before/);
  assertKept(check([confirmed(), [changed(1, "reschedule", 5, false)], run(4)]));
  assertKept(check([confirmed(), [changed(1, "update")], run(2, { version: 1 })]));
  assertBroken(check([confirmed(), [changed(1, "update")], run(2)]), /was updated and ran with the old data/);
  assertKept(check([confirmed(), [changed(1, "update", 0, false)], run(2)]));
  // The new data has died before.
  const mayDie = confirmed({ mayDie: true, maxAttempts: 2 });
  const died = [mayDie, [changed(1, "update")], failed(2, { attempt: 2, version: 1 }), failed(1.5, { version: 1 })];
  const anew = [...died, [serverDown(60)], run(70, { sequence: 9, attempt: 2 })];
  assertKept(check(anew, { large: true, deadLetters: new Map([[JOB, 2]]) }), [5]);
  assertBroken(check(anew, { large: true }), /was updated and ran with the old data/);
});

Deno.test("checkLedger lets a job that was replaced run once more, once for each call, and not with its old data only", () => {
  const replaced = [confirmed(), [changed(1, "replace")], run(1.1)];
  assertKept(check([...replaced, run(2, { version: 1, sequence: 9 })]));
  assertBroken(check(replaced), /was replaced and ran with the old data/);
  const twice = [...replaced, run(2, { version: 1, sequence: 9 }), run(3, { version: 1, sequence: 10 })];
  assertBroken(check(twice), /job.1 ended twice/);
  assertKept(check([...twice, [changed(2, "replace")]]));
  assertBroken(check([...replaced, run(2), run(3, { version: 1 })]), /job.1 ended twice/);
  assertBroken(
    check([confirmed(), [changed(1, "debounce", 5)], run(4, { version: 1 })]),
    /was debounced and ran 1000 ms/,
  );
  assertKept(check([confirmed(), [changed(1, "debounce", 5)], run(4), run(5, { version: 1, sequence: 9 })]));
});
