import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { connect } from "@nats-io/transport-node";
import { Unavailable } from "../../../src/connection/unavailable.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ControlLine } from "../../../src/wire/requests/control_line.ts";
import { Requests } from "../../../src/wire/requests/requests.ts";
import { Subscriptions } from "../../../src/wire/requests/subscriptions.ts";
import { CollectedLog } from "../../_support/collected_log.ts";
import { reload } from "../../_support/reload.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { openStores } from "../../_support/open_stores.ts";

const ALL = `subscribe: [">"]`;
const NO_INBOX = `subscribe: ["none"]`;
const ANN = { user: "ann", password: "x", timeout: 5_000 };

function usersWith(subscribe: string): string {
  return `authorization { users: [{ user: "ann", password: "x", permissions: { publish: [">"], ${subscribe} } }] }`;
}

Deno.test("a call works as soon as the server grants the inbox that it had refused to earlier calls", async () => {
  await using server = await startNatsServer({ config: usersWith(NO_INBOX) });
  await using stores = openStores(server.url, ANN);
  const bucket = stores.kvBucket("b");
  for (let call = 0; call < 3; call++) {
    assertEquals((await assertRejects(() => bucket.put("a", "1"), JetStreamStoreError)).code, "permission");
  }
  await reload(server, NO_INBOX, ALL);
  assert(await bucket.put("a", "2") !== null);
  assertEquals((await bucket.get("a"))?.text(), "2");
  assertEquals(stores.connectionCounters().disconnects, 0);
});

Deno.test("nothing is stored by calls whose answer could not be received, once that is known", async () => {
  await using server = await startNatsServer({ config: usersWith(NO_INBOX) });
  await using stores = openStores(server.url, ANN);
  const bucket = stores.kvBucket("b");
  await assertRejects(() => bucket.get("a"), JetStreamStoreError);
  await Promise.all([1, 2, 3].map(() => assertRejects(() => bucket.put("a", "1"), JetStreamStoreError)));
  await reload(server, NO_INBOX, ALL);
  assertEquals(await bucket.put("a", "2"), 1);
});

Deno.test("workers, watches and calls resume when a revoked inbox is granted again", async () => {
  await using server = await startNatsServer({ config: usersWith(ALL) });
  const logger = new CollectedLog();
  await using stores = openStores(server.url, { ...ANN, logger });
  const bucket = stores.kvBucket("b");
  const queue = stores.jobQueue<number>("q");
  const runs: number[] = [];
  await using worker = queue.consume((job) => void runs.push(job.data));
  await bucket.put("a", "1");
  await queue.publish(1);
  await waitUntil(() => runs.length === 1);
  const watch = bucket.watch()[Symbol.asyncIterator]();
  assertEquals((await within(watch.next())).value?.text(), "1");
  const next = watch.next();

  await reload(server, ALL, NO_INBOX);
  await waitUntil(() => worker.status().state === "impaired");
  await assertRejects(() => bucket.put("a", "x"), JetStreamStoreError, "subscribe to");

  await reload(server, NO_INBOX, ALL);
  await bucket.put("a", "2");
  await queue.publish(2);
  await waitUntil(() => runs.length === 2);
  assertEquals((await within(next)).value?.text(), "2");
  await waitUntil(() => worker.status().state === "serving");
  assertEquals(stores.connectionCounters().disconnects, 0);
  await watch.return?.();
});

Deno.test("Requests that ends while it subscribes to its inbox once more leaves no subscription on the connection", async () => {
  await using server = await startNatsServer({ config: usersWith(NO_INBOX) });
  const nc = await connect({ servers: server.url, user: "ann", pass: "x" });
  const subscriptions = new Subscriptions(nc);
  const requests = new Requests(nc, subscriptions, new ControlLine());
  await assertRejects(() => requests.request("x", "", performance.now() + 10_000), JetStreamStoreError);
  await reload(server, NO_INBOX, ALL);
  const confirmed = subscriptions.confirmed.bind(subscriptions);
  // The adopted connection is released once the server has the subscription.
  subscriptions.confirmed = async () => {
    await confirmed();
    requests.end(new Unavailable("lost", "The stores are closed"));
  };
  await assertRejects(() => requests.request("x", "", performance.now() + 10_000), Unavailable);
  await nc.flush();
  const { connections } = await server.monitor("/connz?subs=1") as { connections: { subscriptions_list?: string[] }[] };
  assertEquals(connections.map(({ subscriptions_list = [] }) => subscriptions_list), [[]]);
  await nc.close();
});
