import { assert, assertEquals } from "@std/assert";
import { type NatsServer, startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { api } from "../../ledger/api.ts";
import { WatchedWorker } from "./_watched_worker.ts";

/** Pauses the durable consumers as any client can; without an end, or until a moment. */
async function pause(server: NatsServer, until: Date = new Date(Date.now() + 3_600_000)): Promise<void> {
  await Promise.all(
    ["high", "normal", "low"].map((consumer) =>
      api([server.url], `CONSUMER.PAUSE.WQ_healing.${consumer}`, { pause_until: until.toISOString() })
    ),
  );
}

async function resume(server: NatsServer): Promise<void> {
  await Promise.all(
    ["high", "normal", "low"].map((consumer) => api([server.url], `CONSUMER.PAUSE.WQ_healing.${consumer}`)),
  );
}

Deno.test("JobConsumer says when its queue is paused by another client, and serves within a second of its resume", async () => {
  await using server = await startNatsServer();
  await using worker = new WatchedWorker({ url: server.url });
  await worker.publish("before");
  await worker.healed(["before"]);
  // More than once: a pull that is renewed must not be lost, or doubled.
  for (const round of [1, 2, 3]) {
    await pause(server);
    await worker.serving(false);
    await worker.publish(`during-${round}`);
    await resume(server);
    await waitUntil(() => worker.runsOf(`during-${round}`) === 1, 5_000);
    await worker.serving(true, 5_000);
  }
  await worker.healed(["before", "during-1", "during-2", "during-3"]);
});

Deno.test("JobConsumer serves soon after the end of a pause", async () => {
  await using server = await startNatsServer();
  await using worker = new WatchedWorker({ url: server.url });
  await worker.publish("before");
  await worker.healed(["before"]);
  const end = Date.now() + 1_200;
  await pause(server, new Date(end));
  await worker.publish("during");
  await waitUntil(() => worker.runsOf("during") === 1);
  const after = Date.now() - end;
  assert(after >= -20 && after < 5_000, `It ran ${after} ms after the end of the pause`);
  await worker.healed(["before", "during"]);
});

Deno.test("JobConsumer that starts while its queue is paused says so, and serves after the resume", async () => {
  await using server = await startNatsServer();
  {
    await using first = new WatchedWorker({ url: server.url });
    await first.publish("before");
    await first.healed(["before"]);
  }
  await pause(server);
  await using worker = new WatchedWorker({ url: server.url });
  await worker.publish("during");
  await waitUntil(() => worker.state !== "connecting");
  await worker.serving(false);
  assertEquals(worker.runsOf("during"), 0);
  await resume(server);
  await waitUntil(() => worker.runsOf("during") === 1, 5_000);
  await worker.healed(["during"]);
});
