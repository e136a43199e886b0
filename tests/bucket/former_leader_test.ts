import { assert, assertEquals, assertLess } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { ForeignClient } from "../_support/foreign_client.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** Answers of the leader, as the server names them. */
const GET = "stream_msg_get_response";
const INFO = "stream_info_response";

/** A bucket of a cluster that is read from its leader, whose answers can be those that it gave earlier, as a suspended leader gives them. */
class FormerLeader implements AsyncDisposable {
  readonly #open = new AsyncDisposableStack();
  readonly #earlier = new Map<string, string>();
  readonly #left = new Map<string, number>();
  readonly proxy: Proxy;
  readonly stores: JetStreamStores;
  readonly foreign: ForeignClient;
  /** Messages that the leader was asked for. */
  gets = 0;

  private constructor(proxy: Proxy, foreign: ForeignClient, timeout: number) {
    this.proxy = proxy;
    this.foreign = foreign;
    const logger = { info() {}, warn() {}, error() {} };
    this.stores = new JetStreamStores({ servers: proxy.url, env: () => undefined, logger, timeout });
    proxy.tampering.change = (_subject, payload) => {
      const kind = [GET, INFO].find((kind) => payload.includes(kind));
      if (kind === undefined) return undefined;
      if (kind === GET) this.gets++;
      const left = this.#left.get(kind) ?? 0;
      if (left === 0) this.#earlier.set(kind, payload);
      this.#left.set(kind, Math.max(0, left - 1));
      return left > 0 ? this.#earlier.get(kind) : undefined;
    };
  }

  static async start(timeout: number = 10_000): Promise<FormerLeader> {
    await using open = new AsyncDisposableStack();
    const cluster = open.use(await startNatsCluster({ servers: 2 }));
    const proxy = open.use(new Proxy(cluster.urls[0]));
    const foreign = open.use(await ForeignClient.connect(cluster.urls[0]));
    const former = new FormerLeader(proxy, foreign, timeout);
    former.#open.use(open.move());
    former.#open.defer(() => former.stores.close());
    return former;
  }

  get bucket() {
    return this.stores.kvBucket("b", { consistency: "leader" });
  }

  /** From now on so many answers are the last ones of before. */
  lag(gets: number, infos: number): void {
    this.#left.set(GET, gets).set(INFO, infos);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#open.disposeAsync();
  }
}

Deno.test("KvBucket.get asks again when a former leader answers with less than this process has written", async () => {
  await using former = await FormerLeader.start();
  const { bucket } = former;
  await bucket.put("k", "old");
  assertEquals((await bucket.get("k"))?.text(), "old");
  await bucket.status();
  for (const [version, infos] of [["of a leader again", 0], ["of one that still lags behind", 3]] as const) {
    await bucket.put("k", version);
    former.lag(1 + infos, infos);
    const begun = performance.now();
    const text = (await bucket.get("k"))?.text();
    // It is patient for 2 s.
    assert(text === version || performance.now() - begun > 2_000);
  }
});

Deno.test("KvBucket.get takes the leader's word that a key has gone", async () => {
  await using former = await FormerLeader.start();
  const { bucket } = former;
  await bucket.put("k", "v");
  await bucket.put("other", "v");
  await former.foreign.api("STREAM.PURGE.KV_b", { filter: "$KV.b.k" });
  assertEquals(await bucket.get("k"), null);
  // With a lower sequence, as it was made again.
  await former.foreign.api("STREAM.DELETE.KV_b");
  await former.foreign.api("STREAM.CREATE.KV_b", { name: "KV_b", subjects: ["$KV.b.>"], allow_direct: true });
  assertEquals(await bucket.get("other"), null);
});

// Less than a stream that was restored had before.
for (const [timeout, most] of [[10_000, 60], [1_900, 25]]) {
  Deno.test(`KvBucket.get takes the leader's word once it cannot be a former one, with a timeout of ${timeout} ms`, async () => {
    await using former = await FormerLeader.start(timeout);
    const { bucket } = former;
    // On a busy machine a call may end before its answer.
    await waitUntil(async () => await bucket.put("k", "restored") !== null);
    await waitUntil(async () => (await bucket.get("k"))?.text() === "restored");
    await waitUntil(async () => await bucket.status() !== null);
    for (const key of ["k", "j"]) await waitUntil(async () => await bucket.put(key, "lost") !== null);
    former.lag(1_000, 1_000);
    let [first, text] = [0, undefined as string | undefined];
    await waitUntil(async () => {
      first = former.gets;
      text = (await bucket.get("k"))?.text();
      return text !== undefined;
    });
    assertEquals(text, "restored");
    // It asks each 50 ms: for 2 s, or for half of the call's time.
    assertLess(former.gets - first, most);
    // Only the first one waits.
    const before = former.gets;
    assertEquals((await bucket.get("j"))?.text(), "restored");
    assertEquals(former.gets - before, 1);
  });
}
