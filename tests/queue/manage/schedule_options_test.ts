import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { JetStreamStoreError, type ScheduleOptions } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ServerVersion } from "../../../src/connection/server_version.ts";
import { Proxy } from "../../_support/proxy.ts";
import { testFrom } from "../../_support/test_from.ts";
import { openStores } from "../../_support/open_stores.ts";

const test = testFrom("2.14");

/** Cron expressions with the field that the message has to name, and its value. */
const WRONG: [cron: string, field: string, value: string][] = [
  ["60 * * * * *", "second", "60"],
  ["* 75 * * * *", "minute", "75"],
  ["0 5/0 * * * *", "minute", "5/0"],
  ["0 *-5 * * * *", "minute", "*-5"],
  ["0 1,,2 * * * *", "minute", "1,,2"],
  ["0 0 24 * * *", "hour", "24"],
  ["0 0 22-2 * * *", "hour", "22-2"],
  ["0 0 0 32 * *", "day", "32"],
  ["0 0 0 L * *", "day", "L"],
  ["0 0 0 * 13 *", "month", "13"],
  ["0 0 0 * * MOO", "weekday", "MOO"],
  ["0 0 0 * * 1#2", "weekday", "1#2"],
  ["0 0 0 * * FRI-SUN", "weekday", "FRI-SUN"],
];

Deno.test("JobQueue.schedule shows the field of a cron expression that is wrong", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  for (const [cron, field, value] of WRONG) {
    const error = await assertRejects(() => queue.schedule("a", { cron, data: 1 }), RangeError);
    assertStringIncludes(error.message, `the ${field} of 'cron' must be right, and "${value}" is not`);
    assertStringIncludes(error.message, `current value is "${cron}"`);
  }
  const never = { cron: "0 0 0 31 2 *", data: 1 };
  await assertRejects(() => queue.schedule("a", never), RangeError, "'cron' must have a next time within 5 years");
});

test("JobQueue.schedule sends no cron expression that the server refuses", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const expressions = [
    "* * * * * *",
    "*/7 1-5 0-23/2 1,15 * *",
    "0 0 0 ? JUL,JAN-MAR MON,WED",
    "0 0 0 * * sun-tue",
    "0 0 0 29 2 *",
    "0 0 0 * * 7",
    "0 0 0 15W * *",
    "0 0 0 LW * *",
    "0 0 0 * * +MON",
    "0 0 0 * * 5-7",
    "0 0 0 * * L",
    "0 0 0 0 0 0",
    "1- * * * * *",
    "~ * * * * *",
  ];
  const kept: string[] = [];
  for (const cron of expressions) {
    try {
      assertEquals(await queue.schedule("a", { cron, data: 1 }), true, cron);
      kept.push(cron);
    } catch (error) {
      assertInstanceOf(error, RangeError, cron);
    }
  }
  assertEquals(kept, expressions.slice(0, 5));
});

Deno.test("JobQueue.schedule refuses a cron expression that has neither five nor six fields, nor is a name", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  for (const cron of ["", "* * * *", "* * * * * * *", "@often"]) {
    await assertRejects(() => queue.schedule("a", { cron, data: 1 }), RangeError, "six fields");
  }
});

Deno.test("JobQueue.schedule refuses what the server does not support, and senseless values", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  const refused: [ScheduleOptions, new (...args: never[]) => Error, string][] = [
    [{ every: 999, data: 1 }, RangeError, "'every' must be ≥ 1000 ms: current value is 999"],
    [{ every: NaN, data: 1 }, RangeError, "'every'"],
    [{ every: Infinity, data: 1 }, RangeError, "'every'"],
    [{ every: 1e300, data: 1 }, RangeError, "'every' must be ≤"],
    [{ every: 1_000, cron: "* * * * * *", data: 1 }, TypeError, "either 'every' or 'cron'"],
    [{ data: 1 }, TypeError, "either 'every' or 'cron'"],
    [{ every: 1_000, timeZone: "Europe/Berlin", data: 1 }, TypeError, "'timeZone' goes with 'cron'"],
    [{ cron: "* * * * * *", timeZone: "Europe/Bärlin", data: 1 }, RangeError, "Europe/Bärlin"],
    [{ every: 1_000, priority: "urgent" as "high", data: 1 }, RangeError, '"high", "normal" or "low"'],
    [{ every: 1_000, data: undefined }, TypeError, "Cannot keep the schedule as 'data'"],
  ];
  for (const [options, type, text] of refused) {
    await assertRejects(() => queue.schedule("a", options), type, text);
  }
  await assertRejects(() => queue.schedule("", { every: 1_000, data: 1 }), TypeError, "'id'");
});

Deno.test("JobQueue.schedule is null without a connection", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  assertEquals(await queue.schedule("a", { every: 1_000, data: 1 }), null);
  assertEquals(await queue.unschedule("a"), null);
  const error = await assertRejects(() => Array.fromAsync(queue.schedules()), JetStreamStoreError);
  assertEquals(error.code, "disconnected");
});

Deno.test("ServerVersion.require names the version that a feature needs, and the one that is there", () => {
  new ServerVersion("2.14.0").require("2.14", "A schedule that repeats");
  new ServerVersion("3.0.1").require("2.14", "A schedule that repeats");
  const error = assertThrows(() => new ServerVersion("2.12.8").require("2.14", "A schedule that repeats"));
  assertEquals((error as JetStreamStoreError).code, "unsupported");
  assertEquals(
    error.message,
    "A schedule that repeats needs nats-server 2.14 or newer: this server has 2.12.8",
  );
});

/** The features of a queue that older servers lack. */
const NEEDS: [version: string, older: string, feature: string, use: keyof typeof USES][] = [
  ["2.14", "2.12.8", "schedule", "schedule"],
  ["2.12", "2.11.9", "publish with delay", "delay"],
  ["2.12", "2.11.9", "publishMany with atomic", "atomic"],
  ["2.12", "2.11.9", "pause", "pause"],
  ["2.12", "2.11.9", "resume", "resume"],
];

const USES = {
  schedule: (queue: Queue) => queue.schedule("a", { every: 1_000, data: 1 }),
  delay: (queue: Queue) => queue.publish(1, { delay: 1_000 }),
  atomic: (queue: Queue) => queue.publishMany([{ data: 1 }], { atomic: true }),
  pause: (queue: Queue) => queue.pause(),
  resume: (queue: Queue) => queue.resume(),
};

type Queue = ReturnType<ReturnType<typeof openStores>["jobQueue"]>;

Deno.test("JobQueue says which server version a feature needs", async () => {
  await using server = await startNatsServer();
  for (const [needed, older, feature, use] of NEEDS) {
    await using proxy = new Proxy(server.url, { version: older });
    await using stores = openStores(proxy.url);
    const error = await assertRejects(() => USES[use](stores.jobQueue("checks")), JetStreamStoreError, needed, feature);
    assertEquals(error.code, "unsupported");
    assertStringIncludes(error.message, older);
  }
});
