import { assertEquals } from "@std/assert";
import { type NatsServer, startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { leaderOf } from "../../ledger/leader_of.ts";
import { Proxy } from "../../_support/proxy.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

/** The answers to an update of a waiting job. */
const ANSWERS = ["the undecided copy", "the look", "the decided copy", "the delete", "the copy"] as const;

for (const replicas of [1, 3]) {
  const where = replicas === 1 ? "the server" : "the leader of three servers";

  for (const [step, answer] of ANSWERS.entries()) {
    test(`JobQueue.update leaves one job, with the data that it confirmed, when ${where} is killed behind ${answer}`, async () => {
      await using cleanup = new AsyncDisposableStack();
      const cluster = replicas === 1 ? null : cleanup.use(await startNatsCluster());
      const servers = cluster?.servers ?? [cleanup.use(await startNatsServer())];
      const urls = servers.map(({ url }) => url);
      await using owner = new QueueStores(urls.join(","));
      const other = owner.jobQueue<string>("checks", { replicas });
      await other.publish("old", { id: "a" });
      const leader = cluster ? await leaderOf(cluster, "WQ_checks") : servers[0];
      // Over another server, where there is one.
      const nearest = servers.find((server) => server !== leader) ?? servers[0];
      await using proxy = new Proxy(nearest.url);
      await using stores = new QueueStores(proxy.url, { timeout: 20_000 });
      const queue = stores.jobQueue<string>("checks", { replicas });
      await queue.open();
      const killed = killBehind(proxy, step, leader);
      const updated = queue.update("a", "new");
      await killed;
      await using workers = new QueueStores(urls.join(","));
      const runs = new RecordedRuns<string>();
      await using consumer = workers.jobQueue<string>("checks").consume(runs.handler);
      const result = await updated;
      await waitUntil(() => consumer.status().ended.completed > 0, 90_000);
      await waitUntil(async () => await other.get("a") === null);
      // `false`: the worker was faster.
      const expected = result === null ? runs.all[0].data : result ? "new" : "old";
      assertEquals(runs.all.map(({ data }) => data), [expected]);
    });
  }
}

/** Kills a server as soon as a step of an update is answered, and starts it again. */
async function killBehind(proxy: Proxy, step: number, server: NatsServer): Promise<void> {
  const reached = Promise.withResolvers<void>();
  let answers = 0;
  proxy.tampering.drop = (_, payload) => {
    const isStored = payload.includes('"stream":"WQ_checks"') && payload.includes('"seq":');
    const isAnswer = isStored || payload.includes("stream_msg_delete_response") ||
      // Not the look before anything is stored.
      answers > 0 && payload.includes("consumer_info_response");
    if (isAnswer && answers++ === step) reached.resolve();
    return false;
  };
  await reached.promise;
  let isDown = true;
  proxy.tampering.refuse = () => isDown;
  await server.kill();
  await server.restart();
  isDown = false;
}
