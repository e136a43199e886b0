import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { exists, isAlive } from "./_is_alive.ts";

Deno.test("startNatsCluster gives servers that take a replicated stream at once, and nothing after disposal", async () => {
  let pids, directories;
  {
    await using cluster = await startNatsCluster();
    pids = cluster.servers.map((server) => server.pid);
    directories = cluster.servers.map((server) => server.storeDir.replace(/\/store$/, ""));
    assertEquals(cluster.urls, cluster.servers.map((server) => `nats://127.0.0.1:${server.port}`));
    const nc = await connect({ servers: cluster.urls[0] });
    const config = JSON.stringify({ name: "R3", subjects: ["r3"], num_replicas: 3 });
    const answer = (await nc.request("$JS.API.STREAM.CREATE.R3", config, { timeout: 10_000 })).json<
      Record<string, unknown>
    >();
    await nc.close();
    assertEquals(answer.error, undefined);
  }
  assertEquals([pids.length, await Promise.all(pids.map(isAlive))], [3, [false, false, false]]);
  assertEquals(await Promise.all(directories.map(exists)), [false, false, false]);
});

Deno.test("NatsCluster.ready waits for a new leader and for servers that come back", async () => {
  await using cluster = await startNatsCluster();
  const old = await cluster.leader();
  assert(old);
  await old.stop();
  assertNotEquals(await cluster.leader(), old);
  await cluster.ready();
  const leader = await cluster.leader();
  assert(leader && leader !== old);
  await old.restart();
  await cluster.ready();
  assertEquals((await old.monitor("/healthz"))?.status, "ok");
});

Deno.test("startNatsCluster takes a token, two servers and a name", async () => {
  await using cluster = await startNatsCluster({ servers: 2, name: "pair", auth: { token: "secret" } });
  assertEquals(cluster.servers.map((server) => server.name), ["pair-1", "pair-2"]);
  const nc = await connect({ servers: cluster.urls, token: "secret" });
  assertEquals(nc.info?.cluster, "pair");
  await nc.close();
});

Deno.test("startNatsCluster rejects a size that is none, and what a server refuses", async () => {
  await assertRejects(() => startNatsCluster({ servers: 1 }), RangeError, "'servers' must be a whole number ≥ 2");
  await assertRejects(() => startNatsCluster({ config: 'server_name: "two words"' }), Error, "cannot contain spaces");
});
