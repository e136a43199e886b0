import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { Job } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

const test = testFrom("2.14");

test("JobQueue.schedule with every makes a job each time, when schedules() says", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  assertEquals(await queue.schedule("each second", { every: 1_000, priority: "high", data: { n: 1 } }), true);
  const [schedule, ...others] = await Array.fromAsync(queue.schedules());
  assertEquals(others, []);
  const { next, ...rest } = schedule;
  assertEquals(rest, { id: "each second", every: 1_000, priority: "high", data: { n: 1 } });
  const runs: { data: unknown; priority: string; at: number }[] = [];
  await using _consumer = queue.consume(({ data, priority }) => void runs.push({ data, priority, at: Date.now() }));
  await waitUntil(() => runs.length === 3);
  for (const [index, { data, priority, at }] of runs.entries()) {
    assertEquals([data, priority], [{ n: 1 }, "high"]);
    const late = at - (next!.getTime() + index * 1_000);
    assertGreater(late, -50, `run ${index}`);
  }
});

test("JobQueue.schedule takes the place of the schedule of its id", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.schedule("a.b", { every: 1_000, data: "old", priority: "low" });
  await queue.schedule("a.b", { cron: "* * * * * *", data: "new" });
  await queue.schedule("other", { every: 3_600_000, data: "other" });
  const schedules = await Array.fromAsync(queue.schedules());
  assertEquals(schedules.map(({ next, ...rest }) => ({ ...rest, soon: next!.getTime() - Date.now() < 1_050 })), [
    { id: "a.b", cron: "* * * * * *", priority: "normal", data: "new", soon: true },
    { id: "other", every: 3_600_000, priority: "normal", data: "other", soon: false },
  ]);
  assertEquals((await foreign.messages("WQ_checks", "wq.checks.every.*")).length, 2);
  const ran: string[] = [];
  await using _consumer = queue.consume((job) => void ran.push(job.data));
  await waitUntil(() => ran.length === 2);
  assertEquals(ran, ["new", "new"]);
});

test("JobQueue.unschedule ends a schedule and leaves the others, and what they have made", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.schedule("goes", { every: 1_000, data: "goes" });
  await queue.schedule("goes", { every: 1_000, data: "goes, edited" });
  await queue.schedule("stays", { every: 1_000, data: "stays" });
  const made = async (id: string) => (await foreign.messages("WQ_checks", `wq.checks.ready.normal.@${id}`)).length;
  await waitUntil(async () => await made("goes") > 0);
  assertEquals([await queue.unschedule("goes"), await queue.unschedule("goes")], [true, false]);
  assertEquals(await queue.unschedule("never was"), false);
  const [goes, stays] = [await made("goes"), await made("stays")];
  await waitUntil(async () => await made("stays") >= stays + 2);
  assertEquals(await made("goes"), goes);
  assertEquals((await Array.fromAsync(queue.schedules())).map(({ id }) => id), ["stays"]);
});

Deno.test("JobQueue.schedules is empty for a queue that is not there, and makes none", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  assertEquals(await Array.fromAsync(stores.jobQueue("checks").schedules()), []);
  assertEquals(await stores.jobQueue("checks").unschedule("a"), false);
  assertEquals((await foreign.request<{ total: number }>("STREAM.NAMES")).total, 0);
});

test("JobQueue.schedule with cron goes by the clock of its time zone", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  const due = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 4_000);
  // Five and a half hours ahead all year.
  const india = new Date(due.getTime() + 5.5 * 3_600_000);
  const cron = `${india.getUTCSeconds()} ${india.getUTCMinutes()}  ${india.getUTCHours()} * * *`;
  const jobs: Job[] = [];
  await using _consumer = queue.consume((job) => void jobs.push(job));
  await queue.schedule("utc", { cron, data: null });
  await queue.schedule("kolkata", { cron, timeZone: "Asia/Kolkata", data: null });
  const [kolkata, utc] = await Array.fromAsync(queue.schedules());
  assertEquals([kolkata.timeZone, kolkata.next], ["Asia/Kolkata", due]);
  assertEquals([utc.timeZone, utc.next?.getTime()], [undefined, due.getTime() + 5.5 * 3_600_000]);
  assertEquals(kolkata.cron, cron.replace("  ", " "));
  await waitUntil(() => jobs.length > 0);
  assertEquals(jobs[0].id, "@kolkata");
  const late = jobs[0].enqueuedAt.getTime() - due.getTime();
  assertGreater(late, -50);
  assertLess(late, 10_000);
});

test("JobQueue.schedules and DeadLetter.diedAt go by the server's clock, whatever this machine's says", async () => {
  await using server = await startNatsServer();
  const TrueDate = Date;
  const hour = 3_600_000;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => void (globalThis.Date = TrueDate));
  globalThis.Date = class extends TrueDate {
    constructor(...values: unknown[]) {
      super(...(values.length === 0 ? [TrueDate.now() + hour] : values) as [number]);
    }
    static override now(): number {
      return TrueDate.now() + hour;
    }
  } as DateConstructor;
  const stores = stack.use(openStores(server.url));
  const queue = stores.jobQueue("checks");
  assertEquals(await queue.schedule("every", { every: 60_000, data: 1 }), true);
  assertEquals(await queue.schedule("cron", { cron: "0 * * * * *", data: 1 }), true);
  const listed = await Array.fromAsync(queue.schedules());
  assertEquals(listed.length, 2);
  for (const { id, next } of listed) {
    const ahead = next!.getTime() - TrueDate.now();
    assert(ahead > -5_000 && ahead < 90_000, `${id} is ${ahead} ms ahead`);
  }
  await queue.publish(1);
  const consumer = stack.use(queue.consume(() => {
    throw new Error("no");
  }, { maxAttempts: 1 }));
  await waitUntil(() => consumer.status().ended.dead === 1);
  const [{ diedAt }] = await Array.fromAsync(queue.deadLetters());
  const ago = TrueDate.now() - diedAt.getTime();
  assert(ago > -5_000 && ago < 60_000, `it died ${ago} ms ago`);
});

test("JobQueue.runNow publishes the job of a schedule beside those that it makes by itself", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("reports");
  assertEquals(await queue.runNow("nightly"), null);
  await queue.schedule("nightly", { every: 3_600_000, priority: "low", data: "report" });
  assertEquals(await queue.runNow("other"), null);
  const receipt = await queue.runNow("nightly");
  assertEquals([receipt?.id, receipt?.queue, receipt?.duplicate], ["@nightly", "reports", false]);
  const ran = Promise.withResolvers<Job<string>>();
  await using _worker = queue.consume((job) => ran.resolve(job));
  const { id, data, priority } = await ran.promise;
  assertEquals([id, data, priority], ["@nightly", "report", "low"]);
  assertEquals((await Array.fromAsync(queue.schedules())).length, 1);
});
