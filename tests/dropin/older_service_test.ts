import { assertEquals, assertMatch } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { OLDER_SERVICES } from "./_older_service.ts";

const URLS = ["https://example.com/health?a=b&c=d#e", "http://127.0.0.1:8080/", "plain", "a.b.*.>"];
const RESULTS = [`{"status":200,"text":"ü😀"}`, "", "x".repeat(300_000)];

for (const [client, open] of Object.entries(OLDER_SERVICES)) {
  Deno.test(`loadHealthcheck returns what ${client} stored, and the other way round`, async () => {
    await using server = await startNatsServer();
    await using older = await open(server.url);
    await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog() });
    for (const url of URLS) {
      for (const json of RESULTS) {
        await older.storeHealthcheck(url, json);
        assertEquals(await stores.loadHealthcheck(url), json);
        assertEquals((await stores.storeHealthcheck(url, `${json}!`))?.name, url);
        assertEquals(await older.loadHealthcheck(url), `${json}!`);
      }
    }
    await older.deleteHealthcheck(URLS[0]);
    assertEquals(await stores.loadHealthcheck(URLS[0]), null);
    assertEquals(await stores.loadHealthcheck(URLS[1]), `${RESULTS.at(-1)}!`);
  });

  Deno.test(`loadKV returns what ${client} stored, and the other way round`, async () => {
    await using server = await startNatsServer();
    await using older = await open(server.url);
    await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog() });
    for (const key of ["theme", "user.42/name", "a-b_c=d"]) {
      for (const value of RESULTS) {
        await older.storeKV(key, value);
        assertEquals(await stores.loadKV(key), { key, val: value });
        await stores.storeKV(key, `${value}!`);
        assertEquals(await older.loadKV(key), `${value}!`);
      }
    }
    await older.deleteKV("theme");
    assertEquals(await stores.loadKV("theme"), null);
    await older.purgeKV("a-b_c=d");
    assertEquals(await stores.loadKV("a-b_c=d"), null);
    assertEquals(await stores.deleteKV("user.42/name"), true);
    assertEquals(await older.loadKV("user.42/name"), null);
  });

  Deno.test(`storeKV and storeHealthcheck take over the buckets that ${client} made, with all that is in them`, async () => {
    await using server = await startNatsServer();
    await using older = await open(server.url, { kv: 60_000, objects: 120_000 });
    await older.storeKV("k", "old");
    await older.storeHealthcheck("u", "old");
    const logger = new CollectedLog();
    const env = { SUPERCHECK_NATS_URL: server.url, SUPERCHECK_NATS_KV_TTL_SECS: "3600" } as Record<string, string>;
    await using stores = new JetStreamStores({ env: (name) => env[name], logger });
    assertEquals([(await stores.loadKV("k"))?.val, await stores.loadHealthcheck("u")], ["old", "old"]);
    assertEquals(logger.lines.length, 1);
    await stores.storeKV("l", "new");
    await stores.storeHealthcheck("v", "new");
    assertEquals([(await stores.loadKV("k"))?.val, await stores.loadHealthcheck("u")], ["old", "old"]);
    assertEquals((await stores.kvBucket("supercheck_kv").status())?.ttl, 3_600_000);
    assertEquals((await stores.objectBucket("supercheck").status())?.ttl, 30_000);
    const [, kv, objects, ...more] = logger.lines;
    assertMatch(kv, /"supercheck_kv" has a TTL of 3600000 ms from now on, it was 60000 ms/);
    assertMatch(objects, /"supercheck" has a TTL of 30000 ms from now on, it was 120000 ms/);
    assertEquals(more, []);
  });
}
