import { assertEquals } from "@std/assert";
import { JetStreamStores } from "../../src/stores.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { runService, startService } from "../_support/run_service.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

Deno.test("a process ends by itself while NATS is down from the start", async () => {
  const { code, stdout } = await runService(`console.log(await jetstream.loadKV("k"), jetstream.connectionStatus());`, {
    env: { SUPERCHECK_NATS_URL: "127.0.0.1:1" },
  });
  assertEquals([code, stdout], [0, "null connecting\n"]);
});

Deno.test("a process ends by itself while NATS is down after a disconnect, its watches waiting", async () => {
  await using server = await startNatsServer();
  await using service = startService(
    `await jetstream.storeKV("k", "v");
    (async () => { for await (const { key } of jetstream.kvBucket("supercheck_kv").watch()) console.log(key); })();
    console.log("ready");`,
    { env: { SUPERCHECK_NATS_URL: server.url } },
  );
  await service.printed("ready");
  await service.printed("k");
  await server.kill();
  const { code, stderr } = await service.ended;
  assertEquals([code, stderr.split("\n").length], [0, 3], stderr);
});

Deno.test("a process with a worker stays alive while NATS is down after a disconnect, and works after the reconnect", async () => {
  await using server = await startNatsServer();
  await using service = startService(
    `const worker = jetstream.jobQueue("q").consume((job) => {
      console.log(job.data);
      if (job.data === "last") setTimeout(async () => { await worker.stop(); await jetstream.close(); });
    });
    await jetstream.publishJob("q", "first");`,
    { env: { SUPERCHECK_NATS_URL: server.url } },
  );
  await service.printed("first");
  await server.kill();
  await server.restart();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, env: () => undefined });
  await stores.publishJob("q", "last");
  const { code, stdout } = await service.ended;
  assertEquals([code, stdout], [0, "first\nlast\n"]);
});

Deno.test("a process with a worker stays alive while NATS is down from the start", async () => {
  await using server = await startNatsServer();
  await server.kill();
  await using service = startService(
    `const worker = jetstream.jobQueue("q").consume(async () => {
      console.log("worked");
      setTimeout(async () => { await worker.stop(); await jetstream.close(); });
    });
    console.log("waits");`,
    { env: { SUPERCHECK_NATS_URL: server.url } },
  );
  await service.printed("waits");
  await server.restart();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, env: () => undefined });
  await stores.publishJob("q", 1);
  const { code, stdout } = await service.ended;
  assertEquals([code, stdout], [0, "waits\nworked\n"]);
});

Deno.test("a process with a worker ends by itself where no server is configured", async () => {
  const { code, stdout } = await runService(
    `jetstream.jobQueue("q").consume(() => {}); console.log("nothing to wait for");`,
  );
  assertEquals([code, stdout], [0, "nothing to wait for\n"]);
});
