import { assertEquals, assertLess } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { runService, startService } from "./run_service.ts";

Deno.test("a process ends by itself while NATS is away from the start", async () => {
  const start = performance.now();
  const { code, stdout } = await runService(`console.log(await jetstream.loadKV("k"), jetstream.connectionStatus());`, {
    env: { SUPERCHECK_NATS_URL: "127.0.0.1:1" },
  });
  assertEquals([code, stdout], [0, "null connecting\n"]);
  assertLess(performance.now() - start, 5_000);
});

Deno.test("a process ends by itself while NATS is away after a loss, its consumers and watches waiting", async () => {
  await using server = await startNatsServer();
  await using service = startService(
    `await jetstream.storeKV("k", "v");
    await jetstream.consumeJobs("q", () => {});
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
