import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect as connectVersion2 } from "nats";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { openSession, within as moment } from "../_support/open_session.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** A server whose account has room for so many subscriptions over a connection. */
function limitedTo(subscriptions: number) {
  const limits = `limits { max_subscriptions: ${subscriptions} }`;
  return startNatsServer({
    config: `accounts { A { jetstream: enabled, ${limits}, users: [{ user: "a", password: "a" }] } }`,
  });
}

const LOGIN = { user: "a", password: "a" };

Deno.test("Session.subscribe reports the server's limit to the refused subscription, and to no other", async () => {
  await using server = await limitedTo(3);
  await using client = await openSession({ servers: server.url, ...LOGIN });
  const { session } = client;
  const heard: string[] = [];
  const refusals: [string, JetStreamStoreError][] = [];
  const subscribe = (subject: string) =>
    session.subscribe(subject, () => heard.push(subject), (error) => refusals.push([subject, error]));
  const first = subscribe("a");
  subscribe("b");
  await session.requests.request("$JS.API.INFO", "", moment(10_000));
  subscribe("c");
  await waitUntil(() => refusals.length > 0);
  assertEquals(refusals.map(([subject, { code }]) => [subject, code]), [["c", "limits"]]);
  assert(refusals[0][1].message.includes("maximum subscriptions exceeded"));
  first.stop();
  subscribe("c");
  for (const subject of ["a", "b", "c"]) session.send(subject, "");
  await waitUntil(() => heard.length === 2);
  assertEquals(heard, ["b", "c"]);
  assertEquals(refusals.length, 1);
});

Deno.test("Session.subscribe takes the place of an optional subscription at the server's limit", async () => {
  await using server = await limitedTo(3);
  await using client = await openSession({ servers: server.url, ...LOGIN });
  const { session } = client;
  const heard: string[] = [];
  const refused: string[] = [];
  const subscribe = (subject: string, optional: boolean) =>
    session.subscribe(subject, () => heard.push(subject), () => refused.push(subject), { optional });
  subscribe("optional", true);
  subscribe("a", false);
  await session.requests.request("$JS.API.INFO", "", moment(10_000));
  subscribe("b", false);
  await waitUntil(() => refused.length > 0);
  await session.requests.request("$JS.API.INFO", "", moment(10_000));
  for (const subject of ["optional", "a", "b"]) session.send(subject, "");
  await waitUntil(() => heard.length === 2);
  assertEquals([heard, refused], [["a", "b"], ["optional"]]);
  subscribe("c", false);
  await waitUntil(() => refused.length > 1);
  assertEquals(refused, ["optional", "c"]);
});

Deno.test("a worker that may not subscribe says so in its status", async () => {
  await using server = await limitedTo(2);
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, ...LOGIN, logger });
  const queue = stores.jobQueue("q");
  await queue.publish(1);
  let runs = 0;
  await using worker = queue.consume(() => void runs++);
  await waitUntil(() => worker.status().state === "impaired");
  assert(worker.status().reason?.includes("maximum subscriptions exceeded"), String(worker.status().reason));
  assertEquals(runs, 0);
});

Deno.test("a call that needs a subscription throws 'limits' where the server refuses it", async () => {
  await using server = await limitedTo(1);
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    ...LOGIN,
    logger: false,
  });
  const bucket = stores.kvBucket("b");
  assertEquals(await bucket.put("k", "v"), 1);
  for (const iterable of [bucket.watch(), bucket.entries()]) {
    const error = await assertRejects(() => within(iterable[Symbol.asyncIterator]().next()), JetStreamStoreError);
    assertEquals(error.code, "limits", error.message);
  }
});

Deno.test("a connection of npm:nats 2 reports the limit of subscriptions, too", async () => {
  await using server = await limitedTo(1);
  const nc = await connectVersion2({ servers: server.url, user: "a", pass: "a" });
  await using stores = new JetStreamStores({ logger: false });
  stores.useConnection(nc);
  const bucket = stores.kvBucket("b");
  assertEquals(await bucket.put("k", "v"), 1);
  const error = await assertRejects(() => Array.fromAsync(bucket.entries()), JetStreamStoreError);
  assertEquals(error.code, "limits", error.message);
  await stores.close();
  await nc.close();
});

Deno.test("a subject that is longer than the server takes costs one connection, is a RangeError from then on, and is sent by no other call", async () => {
  await using server = await startNatsServer({ config: "max_control_line: 1024" });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger });
  const bucket = stores.kvBucket("b");
  assertEquals(await bucket.put("k", "v"), 1);
  const others = Array.from({ length: 50 }, (_, i) => bucket.put(`other${i}`, "v"));
  const long = "x".repeat(1_500);
  await assertRejects(() => bucket.put(long, "v"), RangeError, "max_control_line");
  assert((await Promise.all(others)).every((revision) => revision !== null));
  await assertRejects(() => bucket.get(long), RangeError, "max_control_line");
  await assertRejects(() => bucket.put(`${long}y`, "v"), RangeError, "max_control_line");
  assertEquals(await bucket.put("z".repeat(500), "v") !== null, true);
  assertEquals(stores.connectionCounters().disconnects, 1);
});
