import { createInbox } from "@nats-io/nats-core";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { startProcess } from "../../_support/start_process.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const WORKER = new URL("../_worker.ts", import.meta.url);

/** Takes the next job of a durable consumer, as a worker does that dies before it starts it. */
async function loseDelivery({ connection }: ForeignClient, consumer = "normal"): Promise<void> {
  const inbox = createInbox();
  const delivery = connection.subscribe(inbox, { max: 1 });
  const request = JSON.stringify({ batch: 1, expires: 20e9 });
  connection.publish(`$JS.API.CONSUMER.MSG.NEXT.WQ_checks.${consumer}`, request, { reply: inbox });
  for await (const message of delivery) assertMatch(message.subject, /^wq\./);
}

for (const [what, options] of [["", {}], [" with a key", { key: "k" }]] as const) {
  Deno.test(`JobConsumer runs a job${what} that was delivered more often than maxDeliveries and never started`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    await using foreign = await ForeignClient.connect(server.url);
    const queue = stores.jobQueue("checks", { lease: 250 });
    await queue.open();
    const { subject } = await queue.publish("data", { id: "a", ...options })
      .then(() => foreign.messages("WQ_checks")).then(([message]) => message);
    const consumer = "key" in options ? `k${subject.split(".")[3]}` : "normal";
    for (let delivery = 0; delivery < 4; delivery++) await loseDelivery(foreign, consumer);
    // From here on a busy machine has its time.
    await stores.jobQueue("checks", { lease: 5_000 }).open();
    const runs = new RecordedRuns();
    await using worker = queue.consume(runs.handler, { maxDeliveries: 2 });
    await waitUntil(() => worker.status().ended.completed === 1);
    assertEquals(runs.all.map(({ id, attempt, data }) => [id, attempt, data]), [["a", 1, "data"]]);
    assertEquals((await queue.counts())?.dead, 0);
  });
}

Deno.test("JobConsumer buries no job whose deliveries a server with leafnodes lost, and moves it seldom", async () => {
  await using server = await startNatsServer({ config: `leafnodes { listen: "127.0.0.1:-1" }` });
  const ran: string[] = [];
  const publish = async (round: number) => {
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks");
    await using worker = queue.consume(({ id }) => void ran.push(id), { maxDeliveries: 2 });
    await waitUntil(() => worker.status().state === "serving");
    await queue.publish(round, { id: `job ${round}` });
    // It may be delivered into the inbox of the worker before, for two seconds.
    for (let look = 0; look < 30 && ran.length <= round; look++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  for (let round = 0; round < 5; round++) await publish(round);
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await using _worker = queue.consume(({ id }) => void ran.push(id), { maxDeliveries: 2 });
  await waitUntil(() => ran.length >= 5);
  assertEquals(ran.toSorted(), ["job 0", "job 1", "job 2", "job 3", "job 4"]);
  assertEquals((await queue.counts())?.dead, 0);
  const moves = (await foreign.stream("WQ_checks"))!.state.last_seq - 5;
  assert(moves <= 40, `${moves} moves`);
});

for (const [what, options] of [["", {}], [" with a key", { key: "k" }]] as const) {
  Deno.test(`JobConsumer starts a job${what} that kills its workers once if maxDeliveries is 1`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks", { lease: 5_000 });
    await queue.publish("boom", { id: "poison", ...options });
    {
      await using worker = startProcess(WORKER, server.url, "checks", "dies", '{"maxDeliveries":1}');
      let line = "";
      while (!line.startsWith("started")) line = await worker.nextLine();
      assertMatch(line, /^started poison 1 \d+$/);
    }
    const runs = new RecordedRuns();
    await using consumer = queue.consume(runs.handler, { maxDeliveries: 1 });
    await waitUntil(() => consumer.status().ended.dead === 1);
    const [letter] = await Array.fromAsync(queue.deadLetters());
    assertMatch(letter.reason, /maxDeliveries: 1/);
    assertEquals(runs.all, []);
  });
}

Deno.test("JobConsumer stores the start of a job that was delivered before, and keeps it as the job is moved and given back", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 4_000 });
  await queue.publish(1, { id: "a" });
  const runs = new RecordedRuns(() => new Promise(() => {}));
  const starts = async () => {
    const [record] = await foreign.messages("KV_wq_checks");
    return record && JSON.parse(record.body).starts;
  };
  for (let start = 1; start <= 3; start++) {
    const dying = queue.consume(runs.handler, { maxDeliveries: 9 });
    await runs.started(start);
    // The first start is not stored: it is assumed as soon as the job is delivered again.
    assertEquals(await starts(), start === 1 ? undefined : start);
    await dying.stop({ deadline: 0 });
    // It is redelivered to a worker that gives it back.
    await queue.publish(2, { id: `filler ${start}`, priority: "high" });
    const busy = queue.consume(({ signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve)), {
      prefetch: 1,
    });
    await waitUntil(() => busy.status().active === 1 && busy.status().prefetched === 1);
    // A worker that stops still hears of it, and starts nothing more.
    const stopping = busy.stop();
    await queue.cancel(`filler ${start}`);
    await stopping;
  }
  const [moved] = (await foreign.messages("WQ_checks")).filter(({ subject }) => subject.endsWith(".a"));
  assertEquals([moved.headers["Job-Starts"], moved.headers["Job-Attempt"]], ["3", "1"]);
});
