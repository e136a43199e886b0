import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const READY = "wq.checks.ready.normal.a";

Deno.test("A worker drops an undecided copy whose call died, and runs a decided one in place of what it displaces", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.open();
  await queue.pause();
  const { seq } = await foreign.publish(READY, '"old"');
  // As the server makes them of the copies, whose schedules have fired.
  await foreign.publish(READY, '"new"', { "Job-Replacing": String(seq) });
  const old = await foreign.publish("wq.checks.ready.low.b", '"old"');
  await foreign.publish("wq.checks.ready.normal.b", '"new"', { "Job-Displaces": String(old.seq) });
  const runs = new RecordedRuns<string>();
  await using consumer = queue.consume(runs.handler, { concurrency: 1, prefetch: 0 });
  await waitUntil(() => consumer.status().state === "paused");
  for (const token of ["a", "b"]) foreign.connection.publish("wqevt.checks.changing", token);
  await foreign.connection.flush();
  await queue.resume();
  await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
  await waitUntil(() => runs.active === 0 && consumer.status().active === 0);
  assertEquals(runs.all.map(({ id, data }) => `${id} ${data}`).sort(), ["a old", "b new"]);
});

Deno.test("A worker that gets the announcement of a change starts the job once that is decided", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  const runs = new RecordedRuns<string>();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().state === "serving");
  foreign.connection.publish("wqevt.checks.changing", "a");
  await foreign.connection.flush();
  // A copy that is not decided: the schedule is far.
  const schedule = { "Nats-Schedule": "@at 2099-01-01T00:00:00Z", "Nats-Schedule-Target": READY };
  const { seq: first } = await foreign.publish("wq.checks.later.high.a", '"x"', schedule);
  await foreign.api("STREAM.MSG.DELETE.WQ_checks", { seq: first });
  const { seq } = await foreign.publish(READY, '"old"');
  const undecided = { ...schedule, "Job-Replacing": String(seq) };
  const copy = await foreign.publish("wq.checks.keyed.changing.a", '"new"', undecided);
  await waitUntil(() => consumer.status().active === 1 || runs.all.length === 1);
  const early = runs.all.length;
  await foreign.api("STREAM.MSG.DELETE.WQ_checks", { seq: copy.seq });
  await waitUntil(() => consumer.status().ended.completed === 1);
  // It may have started before the copy was there, but not while it was undecided.
  assertEquals(runs.all.length, 1);
  assertEquals([early <= 1, runs.all[0].data], [true, "old"]);
});

Deno.test("A retry that was refused because of a change is stored once the change is withdrawn", async () => {
  await using server = await startNatsServer();
  await using owner = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  let copy = 0;
  // The worker sees nothing of the copy but the refusal.
  const drop = (_: string, payload: string) => {
    if (copy === 0 || !payload.includes("wq.checks.keyed.changing.a")) return false;
    foreign.api("STREAM.MSG.DELETE.WQ_checks", { seq: copy }).catch(() => {});
    return true;
  };
  await using proxy = new Proxy(server.url, { drop });
  await using workers = new QueueStores(proxy.url);
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns<string>(async ({ attempt }) => {
    await go.promise;
    if (attempt === 1) throw new Error("no");
  });
  await using consumer = workers.jobQueue<string>("checks").consume(runs.handler, { backoff: 1 });
  const receipt = await owner.jobQueue<string>("checks").publish("old", { id: "a" });
  await runs.started(1);
  const headers = {
    "Nats-Schedule": "@at 2099-01-01T00:00:00Z",
    "Nats-Schedule-Target": READY,
    "Job-Replacing": String(receipt!.sequence),
  };
  copy = (await foreign.publish("wq.checks.keyed.changing.a", '"new"', headers)).seq ?? 0;
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ data, attempt }) => [data, attempt]), [["old", 1], ["old", 2]]);
});

Deno.test("A worker runs a job that comes after others of its id once those are gone, also if it names itself", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.open();
  const info = await foreign.stream("WQ_checks");
  const next = (info?.state.last_seq ?? 0) + 1;
  await foreign.publish(READY, '"itself"', { "Job-After": `${next},999999,junk` });
  const runs = new RecordedRuns<string>();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ data }) => data), ["itself"]);
  assertEquals((await foreign.messages("WQ_checks")).length, 0);
});
