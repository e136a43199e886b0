import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import type { ScheduleOptions } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

const test = testFrom("2.14");

const LAST_MOMENT = "2262-04-11T23:47:16.854Z";

test("JobQueue.schedule with unchanged settings keeps the schedule's phase, and changed ones take effect", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const kept = async () => (await foreign.messages("WQ_checks", "wq.checks.every.*")).map(({ sequence }) => sequence);
  const variants: ScheduleOptions[] = [
    { every: 60_000, data: { n: 1 } },
    { every: 61_000, data: { n: 1 } },
    { every: 61_000, data: { n: 2 } },
    { every: 61_000, priority: "low", data: { n: 2 } },
    { cron: "0 0 0 1 1 *", data: { n: 2 } },
    { cron: "0 0 0 1 1 *", timeZone: "Europe/Berlin", data: { n: 2 } },
    { every: 60_000, data: { n: 1 } },
  ];
  let last: number[] = [];
  for (const options of variants) {
    assertEquals(await queue.schedule("a", options), true);
    const stored = await kept();
    assertNotEquals(stored, last, JSON.stringify(options));
    assertEquals(await queue.schedule("a", options), true);
    assertEquals(await kept(), stored, JSON.stringify(options));
    assertEquals(stored.length, 1);
    last = stored;
  }
});

test("JobQueue.schedule by 20 services that start at once stores one schedule", async () => {
  await using server = await startNatsServer();
  await using stack = new AsyncDisposableStack();
  await using foreign = await ForeignClient.connect(server.url);
  const services = Array.from({ length: 20 }, () => stack.use(openStores(server.url, { timeout: 30_000 })));
  const start = () =>
    Promise.all(services.map((stores) => stores.jobQueue("checks").schedule("a", { every: 60_000, data: 1 })));
  assertEquals((await start()).filter((stored) => stored !== true), []);
  const [{ sequence: seq }] = await foreign.messages("WQ_checks", "wq.checks.every.*");
  const { state } = await foreign.request<{ state: { last_seq: number } }>("STREAM.INFO.WQ_checks");
  assertEquals([seq, state.last_seq], [1, 1]);
  assertEquals((await start()).filter((stored) => stored !== true), []);
  assertEquals((await foreign.messages("WQ_checks")).map(({ sequence }) => sequence), [1]);
});

Deno.test("Moments and durations beyond the server's range are refused with the range", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  for (
    const far of ["2262-04-11T23:47:16.855Z", "2300-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "+010000-01-01T00:00:00Z"]
  ) {
    await assertRejects(() => queue.publish(1, { runAt: new Date(far) }), RangeError, LAST_MOMENT);
    await assertRejects(() => queue.pause(new Date(far)), RangeError, LAST_MOMENT);
  }
  const century = 100 * 365 * 86_400_000;
  for (const option of ["delay", "ttl"]) {
    await assertRejects(() => queue.publish(1, { [option]: century + 1 }), RangeError, `must be ≤ ${century} ms`);
  }
  await assertRejects(() => queue.schedule("a", { every: century + 1, data: 1 }), RangeError, `≤ ${century} ms`);
  assertEquals(await queue.publish(1, { runAt: new Date(LAST_MOMENT) }), null, "allowed, and without a connection");
});

Deno.test("A job whose moment is the last, or far past, is delayed or runs at once", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const century = 100 * 365 * 86_400_000;
  await queue.publish(1, { id: "last", runAt: new Date(LAST_MOMENT) });
  await queue.publish(1, { id: "longest", delay: century, ttl: century });
  const past = ["0001-01-01T00:00:00Z", "1677-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "-000500-01-01T00:00:00Z"];
  for (const at of past) await queue.publish(1, { id: at, runAt: new Date(at) });
  const ran: string[] = [];
  await using _consumer = queue.consume((job) => void ran.push(job.id));
  await waitUntil(() => ran.length === past.length);
  assertEquals(ran.toSorted(), past.toSorted());
  assertEquals((await queue.get("last"))?.runAt?.toISOString(), LAST_MOMENT);
  assertEquals((await queue.get("longest"))?.state, "delayed");
});
