import type { Mutant } from "./mutant.ts";

const TESTS = ["tests/queue/work/stale_firings_test.ts"];

/** Changes of what keeps a queue from running what a killed server fires again. */
export const FIRING_MUTANTS: Mutant[] = [
  {
    does: "takes what a schedule has fired again for a newer job, and loses the retry",
    file: "src/queue/store/move_job.ts",
    find:
      "const isStale = found.fired === true && found.due !== undefined && isSuperseded(token, found, allHeaders, true);",
    replace: "const isStale = false;",
    tests: TESTS,
  },
  {
    does: "runs what is fired late without a look",
    file: "src/queue/delivery/delivery.ts",
    find: "return fired === true && due !== undefined && this.storedTime - due.getTime() > LATE_MS;",
    replace: "return false;",
    tests: TESTS,
  },
  {
    does: "gives what is fired late back as a copy, of which nothing tells that it may be stale",
    file: "src/queue/work/_run_reporter.ts",
    find: "if (!delivery.isUnsettled && this.movable(delivery)) {",
    replace: "if (this.movable(delivery)) {",
    tests: TESTS,
  },
  {
    does: "gives what a change has left of a job back as a copy, and runs both messages",
    file: "src/queue/delivery/delivery.ts",
    find: "return this.firedLate || replacing !== undefined || displaces !== undefined;",
    replace: "return this.firedLate;",
    tests: ["tests/queue/store/turn_test.ts"],
  },
  {
    does: "asks no worker whether what is fired late has ended",
    file: "src/queue/work/_stale_firings.ts",
    find: "return await this.#survey.isFiringKnown(call.session, firing, sequence);",
    replace: "return false;",
    tests: TESTS,
  },
  {
    does: "takes two delayed jobs of one id for one, where another client has not named them",
    file: "src/queue/format/job_headers.ts",
    find: "  if (nonce === undefined && enqueuedAt === undefined) return undefined;\n",
    replace: "",
    tests: TESTS,
  },
  {
    does: "remembers the firing of what is skipped, and skips what was to run in its place",
    file: "src/queue/delivery/delivery.ts",
    find: "if (this.skipped || !fired && !supersedes) return NO_FIRINGS;",
    replace: "if (!fired && !supersedes) return NO_FIRINGS;",
    tests: TESTS,
  },
  {
    does: "sets the schedule of a late job again and again, though the server fires none",
    file: "src/queue/source/_late_jobs.ts",
    find: "firedItself(message) ?? storedAgain(message)",
    replace: "storedAgain(message)",
    tests: ["tests/queue/source/late_jobs_test.ts"],
  },
  {
    does: "starts a late job by the clock of a worker",
    file: "src/queue/source/_late_jobs.ts",
    find: "|| message.time.getTime() < dueTime(message)",
    replace: "",
    tests: ["tests/queue/source/late_jobs_test.ts"],
  },
];
