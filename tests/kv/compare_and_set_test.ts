import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { startProcess } from "../_support/start_process.ts";
import { waitUntil } from "../_support/wait_until.ts";

Deno.test("KvBucket.create stores only where there is no value", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("guarded", { history: 5 });
  assertEquals(await bucket.create("k", "first"), 1);
  assertEquals(await bucket.create("k", "second"), false);
  assertEquals((await bucket.get("k"))?.text(), "first");
  await bucket.delete("k");
  assertEquals(await bucket.create("k", "after delete"), 3);
  assertEquals(await bucket.create("k", "again"), false);
  await bucket.purge("k");
  assertEquals(await bucket.create("k", "after purge"), 5);
  assertEquals(await bucket.create("k", "again"), false);
  assertEquals((await bucket.get("k"))?.text(), "after purge");
});

Deno.test("KvBucket.create stores again what has expired", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("guarded", { ttl: 300 });
  const begun = performance.now();
  assertEquals(await bucket.create("k", "v"), 1);
  let revision = await bucket.create("k", "v");
  assert(revision === false || performance.now() - begun >= 300);
  await waitUntil(async () => revision !== false || (revision = await bucket.create("k", "v")) !== false);
  assertEquals(revision, 2);
});

Deno.test("KvBucket.create takes an empty value for a value", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("guarded");
  assertEquals(await bucket.create("k", ""), 1);
  assertEquals(await bucket.create("k", ""), false);
});

Deno.test("KvBucket.update stores only over the revision that was read", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("guarded");
  assertEquals(await bucket.update("k", "v", 1), false);
  assertEquals(await bucket.put("k", "1"), 1);
  assertEquals(await bucket.update("k", "2", 1), 2);
  assertEquals(await bucket.update("k", "3", 1), false);
  assertEquals((await bucket.get("k"))?.text(), "2");
  await bucket.delete("k");
  assertEquals(await bucket.update("k", "3", 2), false);
  assertEquals(await bucket.get("k"), null);
});

Deno.test("KvBucket.update throws for a revision that cannot be", async () => {
  await using stores = new KvStores();
  const bucket = stores.kvBucket("guarded");
  for (const revision of [0, -1, 1.5, NaN, "1" as unknown as number]) {
    await assertRejects(() => bucket.update("k", "v", revision), RangeError, "'revision' must be a whole number ≥ 1");
  }
});

Deno.test("KvBucket.create lets one of many win", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("guarded");
  for (let round = 0; round < 20; round++) {
    const key = `lock ${round}`;
    const begun = performance.now();
    const results = await Promise.all(Array.from({ length: 16 }, (_, i) => bucket.create(key, `${i}`)));
    const winner = results.findIndex((result) => typeof result === "number");
    // What was sent twice, as its answer took a second, cannot know whether it was replaced.
    const unsure = results.filter((result) => result === null).length;
    assert(unsure === 0 || performance.now() - begun > 1_000);
    assertEquals(results.filter((result) => result === false).length, 15 - unsure);
    assertEquals((await bucket.get(key))?.text(), `${winner}`);
    await bucket.delete(key);
  }
});

Deno.test("KvBucket.update loses no increment of two processes", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("counters");
  await bucket.put("n", "0");
  await using one = startProcess(new URL("./_increment.ts", import.meta.url), server.url, "counters", "n", "300");
  await using two = startProcess(new URL("./_increment.ts", import.meta.url), server.url, "counters", "n", "300");
  assertEquals(await Promise.all([one.nextLine(), two.nextLine()]), ["ready", "ready"]);
  await waitUntil(async () => (await stores.consumers("counters")).length === 2);
  await bucket.put("go", "");
  const outputs = await Promise.all([one.output(), two.output()]);
  const [conflicts, unconfirmed] = [1, 2].map((line) => outputs.map((output) => Number(output.split("\n")[line])));
  const count = Number((await bucket.get("n"))?.text());
  assert(
    count >= 600 && count <= 600 + unconfirmed[0] + unconfirmed[1],
    `${count} counted, ${unconfirmed} unconfirmed`,
  );
  assert(conflicts.every((count) => count >= 0) && conflicts.some((count) => count > 0), `conflicts: ${conflicts}`);
});

Deno.test("KvBucket.create retries where a cluster of 2.11 keeps the message id of what it has refused", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const subjects = ["$KV.old.>"];
  await stores.createStream({ name: "KV_old", subjects, max_msgs_per_subject: 1, no_ack: true });
  const nc = await connect({ servers: server.url });
  const refused = new Set<string>();
  // Answers in place of the stream, as the leader does while another write of the key is on its way, and afterwards.
  nc.subscribe("$KV.old.k", {
    callback: (_error, message) => {
      const id = message.headers!.get("Nats-Msg-Id");
      const answer = refused.has(id)
        ? { error: { code: 409, err_code: 10158, description: "duplicate message id is in process" } }
        : refused.size === 0
        ? { error: { code: 400, err_code: 10164, description: "wrong last sequence" } }
        : { stream: "KV_old", seq: 7 };
      if (refused.size === 0) refused.add(id);
      message.respond(JSON.stringify(answer));
    },
  });
  await nc.flush();
  assertEquals(await stores.kvBucket("old").create("k", "v"), 7);
  await nc.close();
});

Deno.test("KvBucket.delete and purge with a revision remove a key only while it has that revision", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("guarded", { history: 5 });
  for (const remove of ["delete", "purge"] as const) {
    const first = (await bucket.put(remove, "1"))!;
    const second = (await bucket.put(remove, "2"))!;
    assertEquals(await bucket[remove](remove, { revision: first }), false);
    assertEquals((await bucket.get(remove))?.text(), "2");
    assertEquals(await bucket[remove](remove, { revision: second }), true);
    assertEquals(await bucket.get(remove), null);
    const history = await Array.fromAsync(bucket.history(remove), ({ operation }) => operation);
    assertEquals(history, remove === "delete" ? ["put", "put", "delete"] : ["purge"]);
    assertEquals(await bucket[remove](remove, { revision: second }), false);
    assertEquals(await bucket[remove]("never", { revision: second }), false);
    assertEquals(await bucket[remove](remove), true);
  }
});

Deno.test("KvBucket.delete with a revision is false without a bucket, and makes none", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("none");
  assertEquals(await bucket.delete("k", { revision: 1 }), false);
  assertEquals(await bucket.status(), null);
});

Deno.test("KvBucket.delete throws for a revision that cannot be, and for options of other clients", async () => {
  await using stores = new KvStores();
  const bucket = stores.kvBucket("guarded");
  for (const revision of [0, -1, 1.5, NaN]) {
    await assertRejects(() => bucket.delete("k", { revision }), RangeError, "'revision' must be a whole number");
  }
  const theirs = { previousSeq: 1 } as Record<string, number>;
  await assertRejects(() => bucket.delete("k", theirs), TypeError, "previousSeq");
  await assertRejects(() => bucket.purge("k", theirs), TypeError, "previousSeq");
});
