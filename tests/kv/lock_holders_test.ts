import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { delay } from "../../src/delay.ts";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { Proxy } from "../_support/proxy.ts";
import { type ScriptProcess, startProcess } from "../_support/start_process.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { LockLog } from "./_lock_log.ts";

const HOLDER = new URL("./_lock_holder.ts", import.meta.url);

/** Milliseconds: the server ends such a lease half a second later, so that a holder may be slow. */
const LEASE = 1_500;

/** Waits until a process holds the lock; its fence. */
async function nextFence(holder: ScriptProcess): Promise<number> {
  for (;;) {
    const line = await holder.nextLine();
    if (line.startsWith("holds ")) return Number(line.slice("holds ".length));
  }
}

Deno.test("KvBucket.lock gets the lock of a killed holder when its lease is over, and not before", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const locks = stores.kvBucket("locks");
  await using log = new LockLog();
  await using holder = startProcess(HOLDER, server.url, log.path, "6000", "60000");
  await holder.nextLine();
  const fence = Number((await holder.nextLine()).split(" ")[1]);
  await locks.get("l");
  await holder.kill();
  const entry = (await locks.get("l"))!;
  assertGreater(entry.revision, fence - 1);
  await using lock = (await locks.lock("l", { wait: 60_000 }))!;
  const taken = (await locks.get("l"))!;
  assertGreater(lock.fence, entry.revision);
  assert(taken.created.getTime() - entry.created.getTime() >= 5_990, "before its lease was over");
});

Deno.test("KvBucket.lock has one holder at any moment, though 20 holders are killed or suspended, and the fence refuses the late one", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await using log = new LockLog();
  await using stack = new AsyncDisposableStack();
  // It holds the lock for long enough that it can be stopped before its write.
  const start = () => stack.use(startProcess(HOLDER, server.url, log.path, `${LEASE}`, "400"));
  const holders = Array.from({ length: 4 }, start);
  const suspended: number[] = [];
  // One that was suspended may be without a connection when it goes on: the next ones are refused.
  for (let stopped = 0; stopped < 20 || (stopped < 60 && log.refused().length === 0); stopped++) {
    const i = stopped % holders.length;
    let fence: number;
    // It has said so before, and others have it by now.
    do fence = await nextFence(holders[i]); while (log.holders().at(-1) !== fence);
    if (stopped % 2 === 0) {
      await holders[i].kill();
      holders[i] = start();
      continue;
    }
    suspended.push(fence);
    holders[i].signal("SIGSTOP");
    // Another one has it meanwhile.
    await waitUntil(async () => Number((await stores.kvBucket("resources").get("r"))?.text()) > fence, 60_000);
    holders[i].signal("SIGCONT");
  }
  await waitUntil(() => log.refused().length > 0);
  assertEquals(log.late(suspended), []);
  assertEquals(log.refused().filter((fence) => !suspended.includes(fence)), []);
  // One that is killed may not have written yet.
  assertGreater(new Set(log.holders()).size, 10);
});

Deno.test("KvBucket.lock has one holder at any moment on three replicas, though their leader is killed or suspended", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stores = new KvStores({ servers: cluster.urls, timeout: 60_000 });
  await using log = new LockLog();
  await using stack = new AsyncDisposableStack();
  for (const name of ["locks", "resources"]) await stores.kvBucket(name, { replicas: 3 }).put("other", "");
  const start = () => stack.use(startProcess(HOLDER, cluster.urls.join(","), log.path, `${LEASE}`, "100"));
  for (let i = 0; i < 4; i++) start();
  const holders = () => new Set(log.holders()).size;
  for (const isKilled of [true, false]) {
    const before = holders();
    await waitUntil(() => holders() > before + 5, 120_000);
    const { cluster: { leader } } = await stores.api<{ cluster: { leader: string } }>("STREAM.INFO.KV_locks");
    const server = cluster.servers.find(({ name }) => name === leader)!;
    if (isKilled) await server.kill();
    else server.suspend();
    const then = holders();
    // The others have elected another leader.
    await waitUntil(() => holders() > then + 5, 120_000);
    if (isKilled) await server.restart();
    else server.resume();
  }
  const last = holders();
  await waitUntil(() => holders() > last + 5, 120_000);
  assertEquals(log.late(), []);
});

Deno.test("KvBucket.lock has one holder at any moment, though a waiting process is cut off from the answer to its write, and then cut off again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using log = new LockLog();
  const locks = stores.kvBucket("locks");
  await using _near = startProcess(HOLDER, server.url, log.path, `${LEASE}`, "500");
  await waitUntil(() => log.holders().length > 0, 60_000);
  const lease = 5_000;
  await using far = startProcess(HOLDER, proxy.url, log.path, `${lease}`, "60000");
  for (let found = 0, round = 0; found < 2; round++) {
    assertLess(round, 40, "it was never cut off in time");
    await cutOff(proxy);
    await delay(0.6 * lease);
    const entry = await locks.get("l");
    // The near process renews its lock more often.
    const isOwn = entry !== null && Date.now() - entry.created.getTime() > LEASE;
    proxy.tampering.drop = proxy.tampering.lose = undefined;
    proxy.cut();
    const fence = await nextFence(far);
    proxy.tampering.refuse = () => true;
    proxy.cut();
    await waitUntil(() => log.holders().at(-1)! > fence, 60_000);
    await waitUntil(() => log.holders().at(-1)! > fence + 2, 60_000);
    proxy.tampering.refuse = undefined;
    if (isOwn && entry.revision === fence) found++;
  }
  assertEquals(log.late(), []);
});

/** Loses all that the server sends from when a waiting process has written the lock. */
function cutOff(proxy: Proxy): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isDark = false;
  proxy.tampering.drop = () => isDark;
  proxy.tampering.lose = (subject, payload) => {
    // A first write expects no message, and the marker of the release refuses it.
    isDark ||= subject === "$KV.locks.l" && !/Subject-Sequence: 0\r/.test(payload);
    if (isDark) resolve();
    return false;
  };
  return within(promise, 60_000);
}
