import { assertEquals } from "@std/assert";
import { checkCron, nextOfCron } from "../../../src/queue/format/cron_expression.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

const test = testFrom("2.14");

/** Computed by the cron code of nats-server 2.15.2. */
const NEXT: [timeZone: string, after: string, cron: string, next: string][] = [
  // A local time that is skipped, one that comes twice, and the second time that it comes.
  ["Europe/Berlin", "2027-03-27T12:00:00Z", "0 30 2 * * *", "2027-03-29T00:30:00Z"],
  ["Europe/Berlin", "2026-10-24T12:00:00Z", "0 30 2 * * *", "2026-10-25T00:30:00Z"],
  ["Europe/Berlin", "2026-10-25T00:30:00Z", "0 30 2 * * *", "2026-10-25T01:30:00Z"],
  ["Europe/Berlin", "2026-10-25T01:30:00Z", "0 30 2 * * *", "2026-10-26T01:30:00Z"],
  ["Europe/Berlin", "2027-03-28T00:59:59Z", "0 0 * * * *", "2027-03-28T01:00:00Z"],
  ["America/New_York", "2026-11-01T05:15:00Z", "0 */30 1 * * *", "2026-11-01T05:30:00Z"],
  // Clocks that change at midnight: the server steps over it in its own way.
  ["Africa/Cairo", "2026-04-22T12:00:00Z", "0 30 0 24 * *", "2026-05-23T21:30:00Z"],
  ["America/Havana", "2026-10-31T12:00:00Z", "0 30 0 * * *", "2026-11-01T04:30:00Z"],
  ["Australia/Lord_Howe", "2026-10-03T12:00:00Z", "0 10 2 * * *", "2026-10-04T15:10:00Z"],
  // Days of the month and of the week: both hold if one is `*`, else either.
  ["UTC", "2026-11-29T12:00:00Z", "0 0 0 29 2 *", "2028-02-29T00:00:00Z"],
  ["UTC", "2026-11-29T12:00:00Z", "0 0 0 29 2 mon", "2027-02-01T00:00:00Z"],
  ["UTC", "2026-11-29T12:00:00Z", "0 0 0 13 * fri", "2026-12-04T00:00:00Z"],
  ["UTC", "2026-11-29T12:00:00Z", "0 5/15 * ? * *", "2026-11-29T12:05:00Z"],
  ["UTC", "2026-11-29T12:00:00Z", "0 0 0 */2 * 1", "2026-11-30T00:00:00Z"],
];

Deno.test("nextOfCron returns when nats-server fires, also where clocks change", () => {
  for (const [timeZone, after, cron, next] of NEXT) {
    assertEquals(nextOfCron(cron, timeZone, Date.parse(after)), new Date(next), `${cron} in ${timeZone}`);
  }
  assertEquals(nextOfCron("0 0 0 31 2 *", undefined, 0), null);
  assertEquals(nextOfCron("0 0 0 L * *", undefined, 0), null, "another client's");
});

Deno.test("checkCron translates five fields and names", () => {
  for (
    const [cron, pattern] of [
      ["30 7 * * MON-FRI", "0 30 7 * * MON-FRI"],
      ["@daily", "0 0 0 * * *"],
      ["@hourly", "0 0 * * * *"],
      [" @yearly ", "0 0 0 1 1 *"],
      ["0  0 0 * *  *", "0 0 0 * * *"],
    ]
  ) assertEquals(checkCron(cron, undefined, "keep the schedule"), pattern);
});

test("JobQueue.schedules returns as next what the server announces with each job", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const due = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 2_000);
  const [second, minute] = [due.getUTCSeconds(), due.getUTCMinutes()];
  const crons = [`${second} * * * * *`, `${second} ${minute} * * * *`, `${second} ${minute} * 1,15 * mon`];
  for (const [n, cron] of crons.entries()) {
    await queue.schedule(`cron${n}`, { cron, timeZone: "Europe/Berlin", data: 1 });
  }
  await queue.schedule("every", { every: 90_000, data: 1 });
  // Of the schedules that are due, the next time is announced with the job that they make.
  const announced = async () =>
    (await foreign.messages("WQ_checks")).filter(({ subject }) => subject.includes("@")).map(({ subject, headers }) => [
      subject.split("@")[1],
      headers["Nats-Schedule-Next"],
    ]);
  await waitUntil(async () => (await announced()).length >= 2);
  const next = new Map((await Array.fromAsync(queue.schedules())).map(({ id, next }) => [id, next!.getTime()]));
  for (const [id, time] of await announced()) assertEquals(next.get(id), Date.parse(time), id);
});
