import { assertEquals } from "@std/assert";
import type { Msg } from "@nats-io/nats-core";
import { type NatsServer, startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { Proxy } from "../../_support/proxy.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const STREAM = "WQ_checks";

/** Of each pair one is purged while it is taken, and one acknowledged. Now and then the server takes a purge for an acknowledgement: so there are several. */
const PAIRS = 5;
const PURGED = Array.from({ length: PAIRS }, (_, n) => `purged${n}`);
const IDS = ["job0", "job1", ...PURGED.flatMap((id, n) => [id, `ended${n}`]), "job2"];
const JOBS = IDS.map((id, data) => ({ data, id }));

/** Milliseconds. */
const LEASE = 2_000;

/** Purges jobs by their exact subjects, as nobody should who knows that others are with workers. */
async function purgeSome(client: ForeignClient): Promise<void> {
  for (const id of PURGED) await client.api(`STREAM.PURGE.${STREAM}`, { filter: `wq.checks.ready.normal.${id}` });
}

/** Takes all jobs, purges some while they are taken, and acknowledges some. */
async function takeAll(client: ForeignClient): Promise<void> {
  const taken: Msg[] = [];
  client.connection.subscribe("taken", { callback: (_, message) => void taken.push(message) });
  const pull = JSON.stringify({ batch: JOBS.length, expires: 5e9 });
  client.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${STREAM}.normal`, pull, { reply: "taken" });
  await waitUntil(() => taken.length === JOBS.length);
  await purgeSome(client);
  for (const { subject, reply } of taken) {
    if (/ended\d$/.test(subject)) await client.connection.request(reply!, "+ACK", { timeout: 10_000 });
  }
}

/** Waits until the server hands out again only so many. */
async function unacknowledged(client: ForeignClient, count: number): Promise<void> {
  await waitUntil(async () => {
    const info = await client.api<{ num_ack_pending: number }>(`CONSUMER.INFO.${STREAM}.normal`);
    return info.num_ack_pending === count;
  });
}

async function messages(server: { url: string }): Promise<number | undefined> {
  await using client = await ForeignClient.connect(server.url);
  return (await client.stream(STREAM))?.state.messages;
}

/** Publishes jobs to a new queue and lets the first two belong to no consumer: a foreign worker dies with them, behind a foreign purge. */
async function makeStrays(server: NatsServer, stores: QueueStores): Promise<void> {
  const queue = stores.jobQueue("checks", { lease: LEASE });
  await queue.open();
  await queue.publishMany(JOBS);
  {
    await using client = await ForeignClient.connect(server.url);
    await takeAll(client);
  }
  await server.restart();
  await stores.connect();
}

/** Sequences of the messages of the jobs that belong to no consumer. */
async function strays(client: ForeignClient): Promise<number[]> {
  const kept = await client.messages(STREAM);
  return kept.filter(({ subject }) => /job[01]$/.test(subject)).map(({ sequence }) => sequence);
}

Deno.test("JobRescue brings nothing back at its first look", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await makeStrays(server, stores);
  await using client = await ForeignClient.connect(server.url);
  const looks: Promise<number[]>[] = [];
  client.connection.subscribe("wqevt.checks.known", { callback: () => void looks.push(strays(client)) });
  const runs = new RecordedRuns();
  await using _consumer = stores.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => looks.length === 2, 30_000);
  // It takes a second to hear the workers, so this is how the first look has left them.
  assertEquals(await looks[1], [1, 2]);
  await waitUntil(() => runs.all.length === 3, 30_000);
  assertEquals(runs.ids.toSorted(), ["job0", "job1", "job2"]);
});

Deno.test("JobRescue removes no message because an answer says that its job has ended", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await makeStrays(server, stores);
  await using client = await ForeignClient.connect(server.url);
  let answered = 0;
  const forger = client.connection.subscribe("wqevt.checks.known", {
    callback: (_, message) => {
      const asked = message.json<unknown[]>();
      for (
        const answer of [
          "junk",
          asked.map(() => "gone"),
          [],
          Array(5_000).fill("ended"),
          asked.map(() => "ended"),
        ]
      ) {
        client.connection.publish(message.reply!, JSON.stringify(answer));
      }
      answered++;
    },
  });
  const runs = new RecordedRuns();
  await using _consumer = stores.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => answered >= 3, 60_000);
  assertEquals(await strays(client), [1, 2]);
  assertEquals(stores.log.filter((line) => line.includes("malformed")).length, 1);
  forger.unsubscribe();
  await waitUntil(() => runs.all.length === 3, 60_000);
  assertEquals(runs.ids.toSorted(), ["job0", "job1", "job2"]);
});

Deno.test("JobConsumer brings back the jobs that belong to no consumer after a foreign purge and a restart", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: LEASE });
  const before = queue.consume(() => {});
  await waitUntil(() => before.status().state === "serving");
  await before.stop();
  await queue.publishMany(JOBS);
  {
    // A worker that has them all, and ends only some before it dies.
    await using client = await ForeignClient.connect(server.url);
    await takeAll(client);
    // Its lease over, only the last one is handed out again.
    await unacknowledged(client, 1);
    // One of the others has been put off meanwhile, more than once.
    await client.publish("wq.checks.later.normal.job1", "1", {
      "Nats-Schedule": `@at ${new Date(Date.now() + 3_600_000).toISOString()}`,
      "Nats-Schedule-Target": "wq.checks.ready.normal.job1",
      "Job-Replaces": String(JOBS.length),
    });
  }
  await server.restart();
  await stores.connect();
  const runs = new RecordedRuns();
  await using _consumer = queue.consume(runs.handler);
  // Left is the one that was put off.
  await waitUntil(async () => await messages(server) === 1, 30_000);
  assertEquals(runs.ids.toSorted(), ["job0", "job2"]);
  assertEquals((await queue.get("job1"))?.state, "delayed");
});

Deno.test("JobConsumer brings back a job that belongs to no consumer, and that the server does not find by its id", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await makeStrays(server, stores);
  // As servers were seen after a kill: they have the message, and to a guard, or a look by its subject, it is not there.
  await using proxy = new Proxy(server.url, { replace: [".*.*.job0", ".*.*.none"] });
  await using mistaken = new QueueStores(proxy.url);
  const runs = new RecordedRuns();
  await using _consumer = mistaken.jobQueue("checks").consume(runs.handler);
  await waitUntil(async () => await messages(server) === 0);
  assertEquals(runs.ids.toSorted(), ["job0", "job1", "job2"]);
});

Deno.test("JobConsumer runs the jobs with a key that another client publishes to a queue without any", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 500 });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().state === "serving");
  await client.publish("wq.checks.keyed.3.first", "1", { "Job-Key": "k" });
  await runs.started(1);
  // Somebody makes the queue again.
  await client.api(`STREAM.DELETE.${STREAM}`);
  await stores.jobQueue("checks", { lease: 500 }).open();
  await waitUntil(async () => (await client.stream(STREAM))?.state.consumer_count === 3);
  await client.publish("wq.checks.keyed.3.second", "1", { "Job-Key": "k" });
  await runs.started(2);
  assertEquals(runs.ids, ["first", "second"]);
});

Deno.test("JobConsumer leaves a job alone that belongs to no consumer as long as a worker has it", async () => {
  await using server = await startNatsServer();
  await using others = new QueueStores(server.url);
  await using stores = new QueueStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  const gate = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const runs = new RecordedRuns(({ id }) => id.startsWith("ended") ? ended.promise : gate.promise);
  const queue = stores.jobQueue("checks", { lease: 6_000 });
  await using consumer = queue.consume(runs.handler, { concurrency: JOBS.length });
  await waitUntil(() => consumer.status().state === "serving");
  await queue.publishMany(JOBS);
  await runs.started(JOBS.length);
  await purgeSome(client);
  ended.resolve();
  await unacknowledged(client, 1);
  const elsewhere = new RecordedRuns();
  await using _other = others.jobQueue("checks").consume(elsewhere.handler);
  let looks = 0;
  client.connection.subscribe("wqevt.checks.known", { callback: () => void looks++ });
  await waitUntil(() => looks >= 4);
  gate.resolve();
  await waitUntil(async () => await messages(server) === 0);
  assertEquals(runs.ids.toSorted(), IDS.toSorted());
  assertEquals(elsewhere.ids, []);
});

Deno.test("JobConsumer removes a message that is back after a restart although its job has ended", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const gate = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => gate.promise);
  const queue = stores.jobQueue("checks", { lease: LEASE });
  await using consumer = queue.consume(runs.handler);
  await queue.publish(null, { id: "done" });
  await runs.started(1);
  // What the server has on disk now, it is to have again when it has stopped: as if it had forgotten the removal, but not the acknowledgement.
  const folder = `${server.storeDir}/jetstream/$G/streams/${STREAM}/msgs`;
  const files = () =>
    [...Deno.readDirSync(folder)].map(({ name }) => ({ name, bytes: Deno.readFileSync(`${folder}/${name}`) }));
  let kept = files();
  await waitUntil(() => {
    kept = files();
    return kept.some(({ bytes }) => new TextDecoder().decode(bytes).includes("ready.normal.done"));
  });
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  await server.stop();
  Deno.removeSync(folder, { recursive: true });
  Deno.mkdirSync(folder);
  for (const { name, bytes } of kept) Deno.writeFileSync(`${folder}/${name}`, bytes);
  await server.restart();
  await waitUntil(() => stores.log.some((line) => /Job done .* had ended/.test(line)));
  assertEquals(await messages(server), 0);
  assertEquals(runs.ids, ["done"]);
  await waitUntil(async () => (await queue.publish(null, { id: "done" }))?.duplicate === false);
  await runs.started(2);
});
