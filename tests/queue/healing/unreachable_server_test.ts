import { startNatsServer } from "../../../src/testing/mod.ts";
import { Relay } from "../../_support/relay.ts";
import { WatchedWorker } from "./_watched_worker.ts";

Deno.test("JobConsumer notices that nothing reaches the server any more, and serves again", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using worker = new WatchedWorker({ url: relay.url, publishTo: server.url, lease: 7_000 });
  await worker.publish("before");
  await worker.healed(["before"]);
  relay.hold("up");
  const during = Array.from({ length: 12 }, (_, i) => `during-${i}`);
  for (const id of during) await worker.publish(id);
  await worker.serving(false);
  relay.release("up");
  await worker.healed(["before", ...during]);
});
