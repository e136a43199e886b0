import { assertEquals } from "@std/assert";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { QueueStores } from "../_support/queue_stores.ts";

/** What KEDA's scaler reads of the answer of `/jsz`. */
interface Jsz {
  account_details: {
    name: string;
    stream_detail: {
      name: string;
      consumer_detail: { name: string; num_pending: number; num_ack_pending: number }[];
    }[];
  }[];
}

interface Trigger {
  account: string;
  stream: string;
  consumer: string;
}

/** The triggers of the example in `src/queue/README.md`. */
async function triggers(): Promise<Trigger[]> {
  const readme = await Deno.readTextFile(new URL("../../src/queue/README.md", import.meta.url));
  const [, yaml] = /```yaml\n([^]*?)```/.exec(readme)!;
  return yaml.split("- type: nats-jetstream").slice(1).map((trigger) => {
    const field = (name: string) => new RegExp(`${name}: "([^"]+)"`).exec(trigger)![1];
    return { account: field("account"), stream: field("stream"), consumer: field("consumer") };
  });
}

/** The lag as KEDA computes it; without such a consumer it takes the stream's last sequence, which would never come down. */
async function lag(server: NatsServer, { account, stream, consumer }: Trigger): Promise<number | undefined> {
  const query = `acc=${encodeURIComponent(account)}&consumers=true&config=true`;
  const jsz = await server.monitor(`/jsz?${query}`) as unknown as Jsz;
  const streams = jsz.account_details.find(({ name }) => name === account)?.stream_detail;
  const found = streams?.find(({ name }) => name === stream)?.consumer_detail.find(({ name }) => name === consumer);
  return found && found.num_pending + found.num_ack_pending;
}

Deno.test("KEDA's nats-jetstream scaler, as the README sets it, sees jobs before the first worker, while they run, and their end", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("mails");
  const [normal, high] = await triggers();
  assertEquals([normal.consumer, high.consumer], ["normal", "high"]);
  await queue.publishMany([1, 2, 3].map((data) => ({ data })));
  await queue.publish(4, { priority: "high" });
  await queue.publish(5, { delay: 3_600_000 });
  assertEquals([await lag(server, normal), await lag(server, high)], [3, 1]);

  const go = Promise.withResolvers<void>();
  await using worker = queue.consume(() => go.promise, { concurrency: 4, prefetch: 0 });
  await waitUntil(() => worker.status().active === 4);
  assertEquals([await lag(server, normal), await lag(server, high)], [3, 1], "those that run count");
  go.resolve();
  await waitUntil(async () => await lag(server, normal) === 0 && await lag(server, high) === 0);
});
