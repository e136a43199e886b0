import { assertEquals } from "@std/assert";
import { KvMirror } from "../../src/kv/_kv_mirror.ts";
import { KvStream } from "../../src/kv/_kv_stream.ts";
import { Settings } from "../../src/settings.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";
import { SharedState } from "../../src/wire/shared_state.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { openSession } from "../_support/open_session.ts";
import { KvStores } from "../_support/kv_stores.ts";

for (const history of [1, 2]) {
  const what = history > 1 ? "keeps a value that may uncover an older one" : "forgets a value that uncovers none";
  Deno.test(`KvMirror's sweep ${what} when it has expired`, async () => {
    await using server = await startNatsServer();
    await using stores = new KvStores({ servers: server.url });
    const bucket = stores.kvBucket("swept", { history });
    await bucket.create("first", "v", { ttl: 60_000 });
    await using open = await openSession({ servers: server.url });
    const closers = new Set<(deadline: number) => Promise<void>>();
    const context = {
      connection: open.connection,
      settings: new Settings(() => undefined),
      logger: new CollectedLog(),
      telemetry: new Telemetry(),
      timeout: 5_000,
      closers,
      shared: new SharedState(),
    };
    const mirror = new KvMirror(new KvStream(context, "swept", {}), 20);
    const get = (key: string) => mirror.get(`$KV.swept.${key}`);
    await waitUntil(() => get("first") !== undefined);
    await stores.publish("$KV.swept.k", "older");
    await stores.publish("$KV.swept.k", "newer", { "Nats-TTL": "1s" });
    await stores.publish("$KV.swept.passed", "v");
    await waitUntil(() => get("passed")?.sequence === 4);
    // Until the value has gone from the server, and the sweep has passed since.
    await waitUntil(async () => (await bucket.get("k"))?.text() !== "newer");
    let swept = 0;
    for (const since = performance.now(); swept < 5 || performance.now() - since < 200; swept++) {
      await bucket.put("other", `${swept}`);
      await waitUntil(() => get("other")?.sequence === 5 + swept);
    }
    // `undefined`: the server is asked.
    assertEquals(get("k"), history > 1 ? undefined : null);
    assertEquals((await bucket.get("k"))?.text() ?? null, history > 1 ? "older" : null);
    await Promise.all([...closers].map((close) => close(1_000)));
  });
}
