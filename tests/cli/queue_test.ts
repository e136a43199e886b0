import { assert, assertEquals, assertMatch } from "@std/assert";
import type { JetStreamStores, Job } from "../../mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { records, startCli } from "./_cli.ts";

const test = testFrom("2.14");

/** Runs the jobs of a queue until all of them are dead letters. */
async function bury(stores: JetStreamStores, queue: string, ids: string[]): Promise<void> {
  for (const id of ids) await stores.publishJob(queue, { id }, { id, maxAttempts: 1 });
  const buried = Promise.withResolvers<void>();
  let runs = 0;
  await using _consumer = await stores.consumeJobs(queue, () => {
    if (++runs === ids.length) buried.resolve();
    throw new Error("no \x1b[31mluck");
  });
  await buried.promise;
}

Deno.test("queue publish adds jobs with their options, which queue get and counts show", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const publish = (...args: string[]) => cli(["queue", "publish", "mails", ...args]);
  assertEquals((await publish('{"to":"ann"}', "--id", "one", "--priority", "high", "-H", "X-A=b")).stdout, "one\n");
  assertEquals((await publish('{"to":"ann"}', "--id", "one")).stderr, "A job of this id was there already.\n");
  assertEquals((await publish('"later"', "--id", "two", "--delay", "1h", "--max-attempts", "2")).code, 0);
  const [receipt] = records(await cli(["queue", "publish", "mails", "--json"], { input: "[1]" }));
  assertEquals([receipt.queue, receipt.duplicate], ["mails", false]);

  const [counts] = records(await cli(["queue", "counts", "mails", "--json"]));
  assertEquals({ ...counts, oldest: null }, {
    queue: "mails",
    ready: { high: 1, normal: 1, low: 0, keyed: 0 },
    active: 0,
    delayed: 1,
    dead: 0,
    oldest: null,
    ended: 0,
    paused: null,
    limits: { high: null, normal: null, low: null },
    rateLimit: null,
  });
  assertMatch((await cli(["queue", "get", "mails", "two"])).stdout, /state +delayed until .+\n +priority +normal\n/);
  const [one] = records(await cli(["queue", "get", "mails", "one", "--json"]));
  assertEquals([one.state, one.priority, one.data], ["ready", "high", { to: "ann" }]);

  const jobs = stores.jobQueue("mails").consume((job: Job) => run.resolve(job.headers));
  const run = Promise.withResolvers<Readonly<Record<string, string>>>();
  assertEquals(await run.promise, { "X-A": "b" });
  await jobs.stop();
});

Deno.test("queue publish --lines adds a job for each line, and says where one is wrong", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const lines = Array.from({ length: 1_201 }, (_, n) => JSON.stringify({ n })).join("\n");
  const args = ["queue", "publish", "many", "--lines", "--priority", "low"];
  assertEquals((await cli(args, { input: `${lines}\n\n` })).stdout, "1201 jobs published\n");
  assertEquals((await stores.jobQueue("many").counts())?.ready.low, 1_201);
  const { code, stderr } = await cli(args, { input: `${lines}\nnonsense\n` });
  assertEquals(code, 1);
  assertMatch(stderr, /line 1202 is not JSON: .+; 1201 jobs published, all up to line 1201\n/);
});

Deno.test("queue dead shows what failed; redrive and discard remove it", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await bury(stores, "checks", ["a", "b", "c", "d"]);
  const letters = records(await cli(["queue", "dead", "checks", "--json"]));
  assertEquals(letters.map(({ id, reason, attempts }) => [id, reason, attempts]).sort(), [
    ["a", "no \x1b[31mluck", 1],
    ["b", "no \x1b[31mluck", 1],
    ["c", "no \x1b[31mluck", 1],
    ["d", "no \x1b[31mluck", 1],
  ]);
  const list = await cli(["queue", "dead", "checks", "--limit", "2"]);
  assertMatch(list.stdout, /^ID +DIED +ATTEMPTS +REASON\n\w +.+ +1 +no \uFFFD\[31mluck\n/);
  assertEquals([list.stdout.split("\n").length, list.stderr], [4, "Only the newest 2: --limit shows more.\n"]);
  assertMatch((await cli(["queue", "dead", "checks", "c"])).stdout, /data +\{"id":"c"\}\n +stack +Error: no /);

  const redriven = await cli(["queue", "redrive", "checks", "a", "z"]);
  assertEquals([redriven.code, redriven.stdout], [1, "redriven a\n"]);
  assertEquals((await cli(["queue", "discard", "checks", "b", "--yes"])).stdout, "discarded b\n");
  assertEquals((await cli(["queue", "redrive", "checks", "--all"])).stdout, "2 jobs redriven\n");
  const counts = await stores.jobQueue("checks").counts();
  assertEquals([counts?.ready.normal, counts?.dead], [3, 0]);
  assertEquals((await cli(["queue", "dead", "checks"])).stderr, "No dead letters.\n");
});

Deno.test("queue cancel, purge and purge --destroy destroy only with --yes", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  for (const id of ["a", "b", "c"]) await stores.publishJob("checks", {}, { id });
  for (const args of [["cancel", "checks", "a"], ["purge", "checks"], ["purge", "checks", "--destroy"]]) {
    const { code, stderr } = await cli(["queue", ...args]);
    assertEquals(code, 2);
    assertMatch(stderr, /^error: will not .+ without --yes: there is no terminal to ask at\n$/);
  }
  assertEquals((await stores.jobQueue("checks").counts())?.ready.normal, 3);
  const cancelled = await cli(["queue", "cancel", "checks", "a", "z", "--yes"]);
  assertEquals([cancelled.code, cancelled.stdout], [1, "cancelled a\n"]);
  assertEquals((await cli(["queue", "purge", "checks", "--yes"])).stdout, "2 jobs removed\n");
  assertEquals((await cli(["queue", "purge", "checks", "--destroy", "--yes"])).stdout, "removed queue checks\n");
  assertEquals(await stores.jobQueue("checks").counts(), null);
  assertEquals((await cli(["queue", "counts", "checks"])).code, 1);
});

test("queue promote, reschedule, update and publish --replace change a waiting job", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const queue = stores.jobQueue("checks");
  await queue.publish({ n: 1 }, { id: "a", delay: 3_600_000 });
  assertEquals((await cli(["queue", "update", "checks", "a", '{"n":2}'])).stdout, "updated a\n");
  const later = ["queue", "reschedule", "checks", "a", "--run-at", "2090-01-01T00:00:00Z"];
  assertEquals((await cli(later)).stdout, "rescheduled a\n");
  assertEquals((await queue.get("a"))?.runAt, new Date("2090-01-01"));
  assertEquals((await cli(["queue", "promote", "checks", "a"])).stdout, "promoted a\n");
  const job = await queue.get("a");
  assertEquals([job?.state, job?.data], ["ready", { n: 2 }]);
  assertEquals((await cli(["queue", "publish", "checks", "3", "--id", "a", "--replace"])).stdout, "a\n");
  assertEquals((await cli(["queue", "publish", "checks", "4", "--id", "a", "--debounce", "1h"])).stdout, "a\n");
  const replaced = await queue.get("a");
  assertEquals([replaced?.state, replaced?.data], ["delayed", 4]);
  const missing = await cli(["queue", "promote", "checks", "z"]);
  assertEquals([missing.code, missing.stdout], [1, ""]);
  assertMatch(missing.stderr, /there is no job in queue checks that is waiting or delayed: "z"/);
  assertEquals((await cli(["queue", "reschedule", "checks", "a"])).code, 2);
});

Deno.test("queue cancel, redrive and discard act on all that match, which they count before they ask", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await bury(stores, "checks", ["a1", "a2", "b1", "b2"]);
  for (const id of ["x1", "x2", "y1"]) await stores.publishJob("checks", {}, { id, priority: "low" });
  const queue = stores.jobQueue("checks");
  const unasked = await cli(["queue", "redrive", "checks", "--match-id", "a"]);
  assertEquals([unasked.code, unasked.stdout], [2, ""]);
  assertMatch(unasked.stderr, /will not make 2 dead letters of queue checks jobs again without --yes/);
  const redriven = await cli(["queue", "redrive", "checks", "--match-id", "a", "--yes", "--json"]);
  assertEquals(records(redriven), [{ matched: 2, redriven: 2 }]);
  const discarded = await cli(["queue", "discard", "checks", "--match-reason", "luck", "--yes"]);
  assertEquals(discarded.stdout, "2 dead letters discarded\n");
  const cancelled = await cli(["queue", "cancel", "checks", "--match-priority", "low", "--match-id", "x", "--yes"]);
  assertEquals(cancelled.stdout, "2 jobs cancelled\n");
  const none = await cli(["queue", "cancel", "checks", "--match-before", "2001-01-01", "--yes"]);
  assertEquals([none.code, none.stdout], [0, "no job matches\n"]);
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, counts?.ready.low, counts?.dead], [2, 1, 0]);
  assertEquals((await cli(["queue", "cancel", "checks", "y1", "--match-id", "y", "--yes"])).code, 2);
  assertEquals((await cli(["queue", "cancel", "checks", "--yes"])).code, 2);
});

Deno.test("queue pause stops the delivery of jobs until queue resume", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await stores.publishJob("checks", {});
  assertMatch((await cli(["queue", "pause", "checks", "--for", "1h"])).stdout, /^paused checks until 20/);
  const ran = Promise.withResolvers<number>();
  await using consumer = await stores.consumeJobs("checks", () => ran.resolve(performance.now()));
  // Time enough for a job that is not held back.
  await cli(["queue", "counts", "checks"]);
  const before = performance.now();
  assertEquals(records(await cli(["queue", "resume", "checks", "--json"])), [
    { queue: "checks", paused: false, priority: null },
  ]);
  assert(await ran.promise > before, "it was held back");
  await waitUntil(() => consumer?.status().state === "serving");
});

test("queue schedules lists the schedules with their next runs", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await stores.jobQueue("checks").schedule("daily", {
    cron: "0 30 7 * * *",
    timeZone: "Europe/Berlin",
    data: { n: 1 },
  });
  assertMatch(
    (await cli(["queue", "schedules", "checks"])).stdout,
    /^daily +0 30 7 \* \* \* Europe\/Berlin +20.+ +normal +\{"n":1\}$/m,
  );
  const [{ id, next }] = records(await cli(["queue", "schedules", "checks", "--json"]));
  assertEquals(id, "daily");
  assert(Date.parse(String(next)) > Date.now());
});

Deno.test("queue events follows what happens until it is interrupted", async () => {
  await using nats = await startCli();
  const { stores } = nats;
  await using consumer = await stores.consumeJobs("checks", ({ attempt }) => {
    if (attempt === 1) throw new Error("no luck");
  }, { backoff: 1 });
  await using events = nats.start(["queue", "events", "checks", "--only", "failed", "completed", "--json"]);
  const seen = (wanted: string) => events.json.some(({ type }) => type === wanted);
  // It says nothing when it begins to listen, perhaps between the two runs of a job, so jobs come until it has seen both.
  for (let n = 1; !seen("failed") || !seen("completed"); n++) {
    await stores.publishJob("checks", {}, { id: `job ${n}` });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  events.kill("SIGINT");
  assertEquals(await events.end(), 0);
  const types = new Set(events.json.map(({ type }) => type));
  assertEquals([...types].sort(), ["completed", "failed"]);
  assertEquals(events.json.find(({ type }) => type === "failed")?.reason, "no luck");
  await waitUntil(() => consumer?.status().state === "serving");
});

Deno.test("queue commands say that there is no queue of a mistyped name, and make none", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  for (
    const args of [
      ["pause", "typo"],
      ["resume", "typo"],
      ["dead", "typo"],
      ["peek", "typo"],
      ["schedules", "typo"],
      ["redrive", "typo", "--all"],
      ["discard", "typo", "--all", "--yes"],
    ]
  ) {
    const { code, stderr } = await cli(["queue", ...args]);
    assertEquals([code, stderr], [1, "error: there is no queue typo\n"], args.join(" "));
  }
  assertEquals(await stores.jobQueue("typo").counts(), null);
});
