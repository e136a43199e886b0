import { assertEquals, assertRejects } from "@std/assert";
import { Unavailable } from "../../../src/connection/unavailable.ts";
import { parseJobHeaders } from "../../../src/queue/format/job_headers.ts";
import { QueueNames } from "../../../src/queue/format/queue_names.ts";
import { type MovedJob, moveJob } from "../../../src/queue/store/move_job.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { callWithin } from "../../../src/wire/call.ts";
import { openSession } from "../../_support/open_session.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const READY = "wq.checks.ready.normal.a";

const HOUR = 3_600_000;

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

Deno.test("A worker gives back in place what a change has left of a job, so that the next one runs only one of its messages", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.publish("old", { id: "a", delay: HOUR });
  await queue.publish("old", { id: "b", delay: HOUR });
  const [a, b] = (await foreign.messages("WQ_checks")).map(({ sequence }) => String(sequence));
  const end = Promise.withResolvers<void>();
  const runs = new RecordedRuns<string>(() => end.promise);
  await using consumer = queue.consume(runs.handler, { concurrency: 1, prefetch: 2 });
  await queue.publish("first", { id: "running" });
  await runs.started(1);
  await foreign.publish(READY, '"new"', { "Job-Replacing": a });
  await foreign.publish("wq.checks.ready.normal.b", '"new"', { "Job-Displaces": b });
  await waitUntil(() => consumer.status().prefetched === 2);
  const stopped = consumer.stop();

  const again = new RecordedRuns<string>();
  await using other = others.jobQueue<string>("checks").consume(again.handler);
  // The one that is not to run, and the other one in its place: as it comes for the second time, a copy of it runs.
  await waitUntil(() => other.status().ended.skipped === 2 && other.status().ended.completed === 1);
  end.resolve();
  assertEquals((await stopped).givenBack, 2);
  assertEquals(again.all.map(({ id, data }) => `${id} ${data}`), ["b new"]);
  assertEquals((await foreign.messages("WQ_checks")).map(({ subject }) => subject), ["wq.checks.later.normal.a"]);
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

Deno.test("moveJob takes no job for cancelled whose change was in its way, and is withdrawn", async () => {
  await using server = await startNatsServer();
  await using owner = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const withdrawn = Promise.withResolvers<unknown>();
  let copy = 0;
  // It sees nothing of the copy but the refusal.
  const drop = (_: string, payload: string) => {
    if (!payload.includes("wq.checks.keyed.changing.a")) return false;
    withdrawn.resolve(foreign.api("STREAM.MSG.DELETE.WQ_checks", { seq: copy }));
    return true;
  };
  await using proxy = new Proxy(server.url, { drop });
  await using open = await openSession({ servers: proxy.url });
  const { sequence } = (await owner.jobQueue<string>("checks").publish("old", { id: "a" }))!;
  const schedule = { "Nats-Schedule": "@at 2099-01-01T00:00:00Z", "Nats-Schedule-Target": READY };
  const headers = { ...schedule, "Job-Replacing": String(sequence) };
  copy = (await foreign.publish("wq.checks.keyed.changing.a", '"new"', headers)).seq!;
  const call = callWithin(open.session, 10_000);
  const names = new QueueNames("checks");
  const job: MovedJob = {
    subject: READY,
    token: "a",
    priority: "normal",
    sequence,
    allHeaders: parseJobHeaders([]),
    enqueuedAt: new Date(),
    data: new TextEncoder().encode('"old"'),
  };
  const error = await assertRejects(() => moveJob(call, names, job, {}), Unavailable);
  assertEquals(error.message, "A change of the job was withdrawn");
  await withdrawn.promise;
  assertEquals(await moveJob(call, names, job, {}), true);
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
