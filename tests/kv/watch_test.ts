import { assert, assertEquals, assertLess } from "@std/assert";
import type { KvEntry } from "../../src/kv/kv_entry.ts";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { Proxy } from "../_support/proxy.ts";
import { startProcess } from "../_support/start_process.ts";
import { waitUntil, within } from "../_support/wait_until.ts";

/** Iterates in the background, and remembers what comes. */
class Watcher implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly #abort = new AbortController();
  readonly #over: Promise<void>;

  constructor(watch: (signal: AbortSignal) => AsyncIterable<KvEntry>) {
    this.#over = this.#run(watch(this.#abort.signal));
  }

  async saw(text: string): Promise<void> {
    await waitUntil(() => this.seen.includes(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#over;
  }

  async #run(entries: AsyncIterable<KvEntry>): Promise<void> {
    for await (const entry of entries) this.seen.push(`${entry.key} ${entry.operation} ${entry.text()}`.trim());
  }
}

Deno.test("KvBucket.watch gives what is there, then each change", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("watched", { history: 3 });
  await bucket.put("a", "1");
  await bucket.put("b", "1");
  await bucket.put("a", "2");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  await watcher.saw("a put 2");
  await bucket.put("a", "3");
  await bucket.delete("a");
  await bucket.purge("b");
  await bucket.put("ü ü", "4");
  await watcher.saw("ü ü put 4");
  assertEquals(watcher.seen, ["b put 1", "a put 2", "a put 3", "a delete", "b purge", "ü ü put 4"]);
});

Deno.test("KvBucket.watch takes a filter and options", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("watched", { history: 3 });
  for (const [key, value] of [["a.x", "1"], ["a.x", "2"], ["b.x", "3"], ["a.y", "4"]]) await bucket.put(key, value);
  await bucket.delete("a.y");
  await using filtered = new Watcher((signal) => bucket.watch("a.*", { signal }));
  await using values = new Watcher((signal) => bucket.watch("a.*", { signal, ignoreDeletes: true }));
  await using history = new Watcher((signal) => bucket.watch("a.*", { signal, includeHistory: true }));
  await using updates = new Watcher((signal) => bucket.watch("a.*", { signal, updatesOnly: true }));
  await waitUntil(async () => (await stores.consumers("watched")).length === 4);
  await bucket.put("a.x", "5");
  await Promise.all([filtered, values, history, updates].map((watcher) => watcher.saw("a.x put 5")));
  assertEquals(filtered.seen, ["a.x put 2", "a.y delete", "a.x put 5"]);
  assertEquals(values.seen, ["a.x put 2", "a.x put 5"]);
  assertEquals(history.seen, ["a.x put 1", "a.x put 2", "a.y put 4", "a.y delete", "a.x put 5"]);
  assertEquals(updates.seen, ["a.x put 5"]);
});

Deno.test("KvBucket.watch calls initialized once all has been given that was there", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("watched");
  await bucket.put("a", "1");
  await bucket.put("b", "2");
  const initialized = () => watcher.seen.push("initialized");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal, initialized }));
  await watcher.saw("initialized");
  await bucket.put("a", "3");
  await watcher.saw("a put 3");
  assertEquals(watcher.seen, ["a put 1", "b put 2", "initialized", "a put 3"]);
});

for (const exists of [true, false]) {
  const what = exists ? "a bucket that exists" : "a bucket that does not exist yet";
  Deno.test(`KvBucket.watch of updates in ${what} misses nothing that is written after initialized`, async () => {
    await using server = await startNatsServer();
    await using stores = new KvStores({ servers: server.url });
    const bucket = stores.kvBucket("watched");
    if (exists) await bucket.put("before", "1");
    const { promise, resolve } = Promise.withResolvers<void>();
    await using watcher = new Watcher((signal) =>
      bucket.watch(">", { signal, updatesOnly: true, initialized: resolve })
    );
    await within(promise);
    await bucket.put("a", "1");
    await watcher.saw("a put 1");
    assertEquals(watcher.seen, ["a put 1"]);
  });
}

Deno.test("KvBucket.watch ends with the loop, its signal, and the stores, and leaves no consumer behind", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  {
    await using stores = new KvStores({ servers: server.url });
    const bucket = stores.kvBucket("watched");
    await bucket.put("k", "v");
    for await (const _entry of bucket.watch()) break;
    assertEquals(await stores.consumers("watched"), []);
    await Array.fromAsync(bucket.watch(">", { signal: AbortSignal.timeout(100) }));
    assertEquals(await stores.consumers("watched"), []);
    assertEquals(await Array.fromAsync(bucket.watch(">", { signal: AbortSignal.abort() })), []);
    const iterator = bucket.watch()[Symbol.asyncIterator]();
    await iterator.next();
    const waiting = iterator.next();
    await iterator.return!();
    assertEquals((await waiting).done, true);
    assertEquals(await stores.consumers("watched"), []);
    const open = bucket.watch()[Symbol.asyncIterator]();
    await open.next();
    setTimeout(() => stores[Symbol.asyncDispose](), 50);
    assertEquals((await open.next()).done, true);
  }
  assertEquals(await other.consumers("watched"), []);
});

Deno.test("KvBucket.watch ends with its signal, and by return(), also while its consumer is being made", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("quiet");
  await bucket.put("k", "v");
  const whenMade = (act: () => void) => {
    proxy.tampering.drop = (_, payload) => {
      if (payload.includes("consumer_create_response")) act();
      return false;
    };
  };
  const abort = new AbortController();
  whenMade(() => abort.abort());
  assertEquals(await within(Array.fromAsync(bucket.watch(">", { signal: abort.signal }))), []);
  const iterator = bucket.watch(">", { updatesOnly: true })[Symbol.asyncIterator]();
  const returned = Promise.withResolvers<unknown>();
  whenMade(() => returned.resolve(iterator.return!()));
  const waiting = iterator.next();
  await within(returned.promise);
  assertEquals((await within(waiting)).done, true);
  assertEquals(await other.consumers("quiet"), []);
});

Deno.test("KvBucket.watch waits for a bucket that is not there, and does not make it", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("late");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assertEquals(await bucket.status(), null);
  await bucket.put("k", "v");
  await watcher.saw("k put v");
});

Deno.test("KvBucket.watch of updates gives all values of a bucket that is made after it began", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await using other = new KvStores({ servers: server.url });
  const asked = Promise.withResolvers<void>();
  const stop = await other.listen("$JS.API.CONSUMER.CREATE.KV_late.>", () => asked.resolve());
  await using watcher = new Watcher((signal) => stores.kvBucket("late").watch(">", { signal, updatesOnly: true }));
  await within(asked.promise);
  // It has an answer: there is no such bucket.
  await stores.kvBucket("late").status();
  for (const key of ["a", "b", "c"]) await other.kvBucket("late").put(key, "v");
  await watcher.saw("c put v");
  assertEquals(watcher.seen, ["a put v", "b put v", "c put v"]);
  stop();
});

Deno.test("KvBucket.watch of updates gives all values of a bucket that was made again as it began", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  await other.kvBucket("late").put("old", "v");
  const bucket = stores.kvBucket("late");
  await bucket.get("old");
  const [begun, absent] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  // After the first consumer, no question passes until the bucket has gone, and no further consumer is made until there is another one.
  let isThere = true;
  let isLost = (_subject: string) => false;
  proxy.tampering.lose = (subject) => isLost(subject);
  proxy.tampering.drop = (_, payload) => {
    if (isThere && payload.includes("consumer_create_response")) {
      isLost = (subject) => subject.includes("STREAM.INFO");
      begun.resolve();
    }
    if (!isThere && payload.includes("stream_info_response")) {
      isLost = (subject) => subject.includes("CONSUMER.CREATE");
      absent.resolve();
    }
    return false;
  };
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal, updatesOnly: true }));
  await within(begun.promise);
  await other.kvBucket("late").destroy();
  isThere = false;
  isLost = () => false;
  await within(absent.promise);
  for (const key of ["a", "b"]) await other.kvBucket("late").put(key, "v");
  proxy.tampering.lose = undefined;
  await watcher.saw("b put v");
  assertEquals(watcher.seen, ["a put v", "b put v"]);
});

Deno.test("KvBucket.watch heals when its consumer is deleted", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("watched", { history: 5 });
  await bucket.put("k", "1");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  await watcher.saw("k put 1");
  const [consumer] = await stores.consumers("watched");
  await stores.api(`CONSUMER.DELETE.KV_watched.${consumer}`);
  await bucket.put("k", "2");
  await bucket.put("k", "3");
  await watcher.saw("k put 3");
  assertEquals(watcher.seen, ["k put 1", "k put 2", "k put 3"]);
});

Deno.test("KvBucket.watch heals by the missing heartbeats where it may not hear of the deletion", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url, { drop: (subject) => subject.startsWith("$JS.EVENT.ADVISORY.") });
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("watched");
  await bucket.put("k", "1");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  await watcher.saw("k put 1");
  const [consumer] = await stores.consumers("watched");
  await stores.api(`CONSUMER.DELETE.KV_watched.${consumer}`);
  await bucket.put("k", "2");
  await watcher.saw("k put 2");
});

Deno.test("KvBucket.watch begins again where a message was lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("watched", { history: 5 });
  await bucket.put("k", "1");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  await watcher.saw("k put 1");
  let lost = 0;
  proxy.tampering.drop = (subject, payload) => subject === "$KV.watched.k" && payload.includes("2") && lost++ === 0;
  await bucket.put("k", "2");
  await bucket.put("k", "3");
  await watcher.saw("k put 3");
  assertEquals(lost, 2);
  assertEquals(watcher.seen, ["k put 1", "k put 2", "k put 3"]);
});

Deno.test("KvBucket.watch begins anew when the bucket was made again", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("watched");
  for (let i = 0; i < 10; i++) await bucket.put("k", `old ${i}`);
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  const inForce = Promise.withResolvers<void>();
  await using updates = new Watcher((signal) =>
    bucket.watch(">", { signal, updatesOnly: true, initialized: inForce.resolve })
  );
  await watcher.saw("k put old 9");
  await within(inForce.promise);
  await bucket.destroy();
  // The new sequences are below those that it has seen.
  await bucket.put("k", "new 1");
  await bucket.put("l", "new 2");
  await watcher.saw("l put new 2");
  await updates.saw("l put new 2");
  await bucket.put("k", "new 3");
  await watcher.saw("k put new 3");
  assertEquals(watcher.seen, ["k put old 9", "k put new 1", "l put new 2", "k put new 3"]);
});

Deno.test("KvBucket.watch resumes after a restart of the server, without losing or repeating a value", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("watched", { history: 10 });
  await bucket.put("k", "1");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  await watcher.saw("k put 1");
  for (const value of ["2", "3"]) {
    await server.restart();
    await waitUntil(async () => await bucket.put("k", value) !== null);
    await watcher.saw(`k put ${value}`);
  }
  assertEquals(watcher.seen, ["k put 1", "k put 2", "k put 3"]);
});

Deno.test("KvBucket.watch gives what others wrote while it was disconnected", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("watched", { history: 10 });
  await bucket.put("k", "1");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  // Before it is in force, a watch of what is new begins with what is new at its next attempt.
  const inForce = Promise.withResolvers<void>();
  await using updates = new Watcher((signal) =>
    bucket.watch(">", { signal, updatesOnly: true, initialized: inForce.resolve })
  );
  await watcher.saw("k put 1");
  await within(inForce.promise);
  proxy.cut();
  await other.kvBucket("watched").put("k", "2");
  await other.kvBucket("watched").put("l", "3");
  await watcher.saw("l put 3");
  await updates.saw("l put 3");
  assertEquals(watcher.seen, ["k put 1", "k put 2", "l put 3"]);
  assertEquals(updates.seen, ["k put 2", "l put 3"]);
});

Deno.test("KvBucket.watch keeps up with a busy writer through reconnects, in order and without gaps", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const writer = other.kvBucket("busy", { history: 64 });
  await writer.put("n", "0");
  await using watcher = new Watcher((signal) => stores.kvBucket("busy").watch("n", { signal }));
  await watcher.saw("n put 0");
  for (let i = 1; i <= 300; i++) {
    await writer.put("n", `${i}`);
    // Not more than the history keeps pass while it is away.
    if (i % 50 === 0) {
      proxy.cut();
      await watcher.saw(`n put ${i}`);
    }
  }
  await watcher.saw("n put 300");
  assertEquals(watcher.seen, Array.from({ length: 301 }, (_, i) => `n put ${i}`));
});

Deno.test("KvBucket.watch of a process that is killed leaves no consumer behind", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("watched");
  await bucket.put("k", "v");
  await using process = startProcess(new URL("_watch.ts", import.meta.url), server.url, "watched");
  assertEquals(await process.nextLine(), "k");
  assertEquals((await stores.consumers("watched")).length, 1);
  await process.kill();
  const start = performance.now();
  await waitUntil(async () => (await stores.consumers("watched")).length === 0, 30_000);
  assertLess(performance.now() - start, 30_000);
});

Deno.test("KvBucket.watch survives the loss of the server that leads the bucket", async () => {
  await using cluster = await startNatsCluster();
  await using stores = new KvStores({ servers: cluster.urls, timeout: 10_000 });
  const bucket = stores.kvBucket("replicated", { replicas: 3, history: 10 });
  await bucket.put("k", "1");
  await using watcher = new Watcher((signal) => bucket.watch(">", { signal }));
  await watcher.saw("k put 1");
  await stores.api("STREAM.LEADER.STEPDOWN.KV_replicated");
  await waitUntil(async () => await bucket.put("k", "2") !== null);
  await watcher.saw("k put 2");
  const [consumer] = await stores.consumers("replicated");
  const { cluster: place } = await stores.api<{ cluster: { leader: string } }>(
    `CONSUMER.INFO.KV_replicated.${consumer}`,
  );
  const host = cluster.servers.find(({ name }) => name === place.leader);
  assert(host);
  await host.kill();
  await waitUntil(async () => await bucket.put("k", "3") !== null);
  await watcher.saw("k put 3");
});
