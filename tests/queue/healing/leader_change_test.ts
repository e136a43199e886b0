import { startNatsCluster } from "../../../src/testing/mod.ts";
import { leaderOf } from "../../ledger/leader_of.ts";
import { api } from "../../ledger/api.ts";
import { WatchedWorker } from "./_watched_worker.ts";

const STREAM = "WQ_healing";

Deno.test("JobConsumer serves again after leaders have changed and after the leader was killed", async () => {
  await using cluster = await startNatsCluster();
  await using worker = new WatchedWorker({ url: cluster.urls, replicas: 3 });
  await worker.publish("before");
  await worker.healed(["before"]);

  await api(cluster.urls, `CONSUMER.LEADER.STEPDOWN.${STREAM}.normal`);
  await worker.publish("after another leader of the consumer");
  await api(cluster.urls, `STREAM.LEADER.STEPDOWN.${STREAM}`);
  await worker.publish("after another leader of the stream");
  await worker.healed(["before", "after another leader of the consumer", "after another leader of the stream"]);

  const leader = await leaderOf(cluster, STREAM);
  await leader.kill();
  await worker.publish("after the death of the leader");
  await worker.healed(["before", "after the death of the leader"], 30_000);
});
