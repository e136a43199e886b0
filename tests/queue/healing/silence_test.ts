import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { startProcess } from "../../_support/start_process.ts";
import { openStores } from "../../_support/open_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { HeldJob } from "./_held_job.ts";
import { Relay } from "../../_support/relay.ts";
import { WatchedWorker } from "./_watched_worker.ts";

const WORKER = new URL("../_worker.ts", import.meta.url);

Deno.test("JobConsumer notices that nothing comes from the server any more, and serves again", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using worker = new WatchedWorker({ url: relay.url, publishTo: server.url, lease: 8_000 });
  await worker.publish("before");
  await worker.healed(["before"]);
  relay.hold("down");
  await worker.publish("handed out into the silence");
  await worker.serving(false);
  await worker.publish("during");
  relay.release("down");
  await worker.healed(["before", "handed out into the silence", "during"]);
});

Deno.test("JobConsumer notices a server that hangs, and serves again when it answers", async () => {
  await using server = await startNatsServer();
  await using worker = new WatchedWorker({ url: server.url });
  await worker.publish("before");
  await worker.healed(["before"]);
  server.suspend();
  await worker.serving(false);
  server.resume();
  await worker.publish("after");
  await worker.healed(["before", "after"]);
});

Deno.test("JobConsumer serves again when the connection breaks while it waits for what is under way", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  // What is handed out to the connection that was cut comes back after the lease.
  await using worker = new WatchedWorker({ url: relay.url, publishTo: server.url, lease: 5_000 });
  await worker.publish("before");
  await worker.healed(["before"]);
  relay.hold("down");
  await worker.serving(false);
  // Its pulls wait now for what the server may have sent, and that will not come: the connection is another one before they give up.
  relay.cut();
  relay.release("down");
  await worker.publish("after");
  await worker.healed(["before", "after"]);
});

Deno.test("JobConsumer.stop gives back what waits also when the connection breaks while it takes what is under way", async () => {
  const first = new HeldJob("first");
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using stores = openStores(relay.url);
  const queue = stores.jobQueue("healing");
  await queue.publishMany(["first", "second", "third"].map((id) => ({ data: null, id })));
  const consumer = queue.consume(first.handler, { prefetch: 2 });
  await waitUntil(() => consumer.status().prefetched === 2);
  relay.hold("down");
  const stopping = consumer.stop({ deadline: 20_000 });
  relay.cut();
  relay.release("down");
  first.letGo();
  assertEquals(await stopping, { givenBack: 2, abandoned: [] });
});

Deno.test("JobConsumer takes no handler that blocks its process for silence of the server", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  await using worker = startProcess(WORKER, server.url, "checks", "blocks");
  assertEquals(await worker.nextLine(), "serving");
  await queue.publish("blocks", { id: "blocks" });
  assertEquals(await worker.nextLine(), "started blocks 1 1");
  for (const priority of ["high", "normal", "low"] as const) await queue.publish("", { id: priority, priority });
  const starts = [await worker.nextLine(), await worker.nextLine(), await worker.nextLine()];
  // Each at its first delivery, not after its lease.
  assertEquals(starts.toSorted(), ["started high 1 1", "started low 1 1", "started normal 1 1"]);
});

Deno.test("JobConsumer that waits takes no stop of its own event loop for silence of the server", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using consumer = stores.jobQueue("checks").consume(() => {});
  await waitUntil(() => consumer.status().state === "serving");
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const states = new Set<string>();
  for (let round = 0; round < 5; round++) {
    // Nothing runs in this process meanwhile, for longer than the server's silence takes to be noticed. Heartbeats lie in the socket.
    Atomics.wait(cell, 0, 0, 5_000);
    for (let turn = 0; turn < 30; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      states.add(consumer.status().state);
    }
  }
  assertEquals([...states], ["serving"]);
});
