import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { runService } from "../_support/run_service.ts";

Deno.test("200 000 calls, a tenth of them unanswered in time, leave no growth in memory", async () => {
  await using server = await startNatsServer();
  await using silent = await startNatsServer();
  const { code, stdout, stderr } = await runService(
    `
    import { suspend } from "${new URL("../_support/suspend.ts", import.meta.url)}";
    const silent = { pid: ${silent.pid}, suspend: () => Deno.kill(${silent.pid}, "SIGSTOP") };
    const stores = new jetstream.JetStreamStores({ servers: "${silent.url}", timeout: 1, connectTimeout: 10_000 });
    await stores.connect();
    const patient = new jetstream.JetStreamStores({ servers: "${server.url}" });
    await patient.storeKV("k", "v".repeat(100));
    const load = async (calls) => {
      let left = calls;
      await suspend(silent);
      await Promise.all(Array.from({ length: 256 }, async () => {
        while (left-- > 0) await (left % 10 ? patient : stores).loadKV("k");
      }));
      Deno.kill(${silent.pid}, "SIGCONT");
      // Late replies are still to come.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      gc();
      return Deno.memoryUsage().heapUsed;
    };
    const warm = await load(20_000);
    const after = await load(180_000);
    await stores.close();
    await patient.close();
    console.log(Math.round((after - warm) / 1024), stores.connectionCounters().timedOut);`,
    { flags: ["--allow-all", "--v8-flags=--expose-gc"], limit: 300_000 },
  );
  assertEquals(code, 0, stderr);
  const [kilobytes, unanswered] = stdout.trim().split(" ");
  // On a busy machine the silent server is given up meanwhile: then calls do not wait for it.
  assert(Number(unanswered) >= 2_000, unanswered);
  // Whatever were kept of each call would be more than 5 bytes.
  assert(Number(kilobytes) < 1_000, `${stdout} KB`);
});

Deno.test("what calls leave is collected with the young objects, however many there were before", async () => {
  await using server = await startNatsServer();
  const { code, stdout, stderr } = await runService(
    `
    import { getHeapSpaceStatistics } from "node:v8";
    const stores = new jetstream.JetStreamStores({ servers: "${server.url}" });
    await stores.storeKV("k", "v".repeat(100));
    const old = () => getHeapSpaceStatistics().find((space) => space.space_name === "old_space").space_used_size;
    const load = async (calls) => {
      let left = calls;
      await Promise.all(Array.from({ length: 256 }, async () => {
        while (left-- > 0) await stores.loadKV("k");
      }));
    };
    await load(40_000);
    const before = old();
    let most = 0;
    for (let i = 0; i < 20; i++) {
      await load(5_000);
      most = Math.max(most, old() - before);
    }
    await stores.close();
    console.log(Math.round(most / 1024));`,
    { flags: ["--allow-all"], limit: 300_000 },
  );
  assertEquals(code, 0, stderr);
  // 100 000 calls make more than 300 MB of objects, of which 14 once grew old.
  assert(Number(stdout) < 5_000, `${stdout} KB`);
});
