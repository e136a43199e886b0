/**
 * The steps of NATS's client compatibility suite for object stores, each in both directions where this library has both: nats.go does it and ObjectBucket
 * must see it, then the other way round.
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { BucketStatus, JetStreamStores, ObjectInfo } from "../../mod.ts";
import { JetStreamStoreError } from "../../src/errors.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { NatsGo, withoutGo } from "../_support/nats_go.ts";
import { openStores } from "../_support/open_stores.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** What a step has to do with. */
interface Peers {
  stores: JetStreamStores;
  /** Calls nats.go over the bucket `test`. */
  go(command: string, ...args: string[]): Promise<unknown>;
  createByGo(config: Record<string, unknown>): Promise<unknown>;
  /** A file for nats.go. */
  file: string;
}

/** Several pieces, the last one not full. */
const CONTENT = crypto.getRandomValues(new Uint8Array(60_000)).toBase64().repeat(8).slice(0, 600_001);

const DIGEST = await digestOf(CONTENT);

const META = {
  name: "nats-server.zip",
  description: "the server",
  headers: { "Content-Type": ["application/zip"] },
  metadata: { of: "test" },
};

/** Registers a step: one test, with a server of its own. */
function step(name: string, run: (peers: Peers) => Promise<void>): void {
  Deno.test({
    name: `object store step "${name}": ObjectBucket and nats.go agree${withoutGo}`,
    ignore: withoutGo !== "",
    fn: async () => {
      await using server = await startNatsServer();
      await using stores = openStores(server.url);
      await using go = await NatsGo.start(server.url);
      await run({
        stores,
        go: (command, ...args) => go.call(`objects.${command}`, "test", ...args),
        createByGo: (config) => go.call("objects.create", JSON.stringify({ bucket: "test", ...config })),
        file: `${go.directory}/content`,
      });
    },
  });
}

step("default-bucket", async ({ stores, go, createByGo }) => {
  await createByGo({});
  const bucket = stores.objectBucket("test");
  const [theirs, theirsByGo] = [settingsOf(await bucket.status()), await go("status")];
  assertEquals(await bucket.destroy(), true);
  await bucket.put("any", "");
  assertEquals(settingsOf(await bucket.status()), theirs);
  assertEquals(withoutLabels(await go("status")), withoutLabels(theirsByGo));
});

step("custom-bucket", async ({ stores, go, createByGo }) => {
  const common = { description: "test bucket", storage: "memory", metadata: { a: "b" } } as const;
  await createByGo({ ...common, max_age: 600e9, max_bytes: 10_000_000, num_replicas: 1 });
  const [theirs, theirsByGo] = [settingsOf(await stores.objectBucket("test").status()), await go("status")];
  assertEquals({ ...theirs, ...common, ttl: 600_000, maxBytes: 10_000_000 }, theirs);
  assertEquals(await stores.objectBucket("test").destroy(), true);

  const bucket = stores.objectBucket("test", { ...common, ttl: 600_000, maxBytes: 10_000_000 });
  await bucket.put("any", "");
  assertEquals(settingsOf(await bucket.status()), theirs);
  assertEquals(withoutLabels(await go("status")), withoutLabels(theirsByGo));
});

step("put-object", async ({ stores, go, createByGo, file }) => {
  await createByGo({});
  const bucket = stores.objectBucket("test");
  await Deno.writeTextFile(file, CONTENT);
  const theirs = await go("put", JSON.stringify(META), file) as { digest: string; chunks: number };
  assertEquals(theirs.digest, DIGEST);
  const { nuid: _, mtime: __, ...info } = await bucket.info(META.name) as ObjectInfo;
  assertEquals(info, { bucket: "test", size: CONTENT.length, chunks: 5, digest: DIGEST, ...META });

  const ours = await bucket.put("ours", CONTENT, { ...META, name: undefined } as never);
  assertEquals([ours?.digest, ours?.chunks], [DIGEST, theirs.chunks]);
  const seen = await go("info", "ours") as Record<string, unknown>;
  assertEquals({ ...seen, ...META, name: "ours", digest: DIGEST, size: CONTENT.length, chunks: 5 }, seen);
  assertEquals((await go("list") as string[]).sort(), ["nats-server.zip", "ours"]);
  assertEquals((await Array.fromAsync(bucket.list(), ({ name }) => name)).sort(), ["nats-server.zip", "ours"]);
});

step("get-object", async ({ stores, go, createByGo, file }) => {
  await createByGo({});
  const bucket = stores.objectBucket("test");
  await Deno.writeTextFile(file, CONTENT);
  await go("put", JSON.stringify(META), file);
  assertEquals(await bucket.getText(META.name) === CONTENT, true);
  assertEquals(await new Response(await bucket.getStream(META.name)).text() === CONTENT, true);

  await bucket.put("ours", CONTENT);
  await Deno.remove(file);
  await go("get", "ours", file);
  assertEquals(await Deno.readTextFile(file) === CONTENT, true);
  assertEquals(await bucket.delete("ours"), true);
  await assertRejects(() => go("get", "ours", file), Error, "object not found");
  await go("delete", META.name);
  assertEquals(await bucket.get(META.name), null);
});

step("update-metadata", async ({ stores, go, createByGo, file }) => {
  await createByGo({});
  const bucket = stores.objectBucket("test");
  await bucket.put(META.name, CONTENT, { description: "before" });
  const renamed = { ...META, name: "new-thing.zip", description: "a new thing" };
  await go("update", META.name, JSON.stringify(renamed));
  assertEquals(await bucket.info(META.name), null);
  const { name, description, headers, metadata, digest } = await bucket.info(renamed.name) as ObjectInfo;
  assertEquals({ name, description, headers, metadata, digest }, { ...renamed, digest: DIGEST });
  assertEquals(await bucket.getText(renamed.name) === CONTENT, true);
  await go("get", renamed.name, file);
});

for (const updatesOnly of [false, true]) {
  step(updatesOnly ? "watch-updates" : "watch", async ({ stores, go, createByGo, file }) => {
    await createByGo({});
    const bucket = stores.objectBucket("test");
    await Deno.writeTextFile(file, CONTENT);
    await go("put", JSON.stringify(META), file);
    const digests: (string | null)[] = [];
    const abort = new AbortController();
    const initialized = () => void digests.push(null);
    const watched = (async () => {
      const watch = bucket.watch({ updatesOnly, initialized, signal: abort.signal });
      for await (const { digest } of watch) digests.push(digest);
    })();
    await waitUntil(() => digests.includes(null));
    await Deno.writeTextFile(file, "new content");
    await go("put", JSON.stringify(META), file);
    const newDigest = await digestOf("new content");
    await waitUntil(() => digests.includes(newDigest));
    abort.abort();
    await watched;
    assertEquals(digests, updatesOnly ? [null, newDigest] : [DIGEST, null, newDigest]);

    await go("watch", ...(updatesOnly ? ["updates"] : []));
    await bucket.put(META.name, CONTENT);
    assertEquals(
      await go("watched", updatesOnly ? "1" : "3"),
      updatesOnly ? [DIGEST] : [newDigest, null, DIGEST],
    );
  });
}

step("get-link and put-link", async ({ stores, go, createByGo, file }) => {
  await createByGo({});
  const bucket = stores.objectBucket("test");
  await bucket.put(META.name, CONTENT);
  await go("link", "link", META.name);
  assertEquals((await bucket.info("link"))?.link, { bucket: "test", name: META.name });
  assertEquals(await bucket.getText("link") === CONTENT, true);
  await go("get", "link", file);
  assertEquals(await Deno.readTextFile(file) === CONTENT, true);
  assertEquals(await bucket.delete("link"), true);
  assertEquals(await bucket.getText(META.name) === CONTENT, true);
});

step("sealed bucket", async ({ stores, go, createByGo, file }) => {
  await createByGo({});
  const bucket = stores.objectBucket("test");
  await bucket.put(META.name, CONTENT);
  await go("seal");
  assertEquals((await bucket.status())?.sealed, true);
  assertEquals(await bucket.getText(META.name) === CONTENT, true);
  const error = await assertRejects(() => bucket.put("more", "x"), JetStreamStoreError);
  assert(error.message.includes("seal"), error.message);
  await assertRejects(() => bucket.delete(META.name), JetStreamStoreError);
  await go("get", META.name, file);
});

/** What a bucket was made with. */
function settingsOf(status: BucketStatus | null): Partial<BucketStatus> {
  assert(status);
  const { bytes: _, created: __, ...settings } = status;
  return settings;
}

/** A status as nats.go gives it, without the labels of the server's own. */
function withoutLabels(status: unknown): Record<string, unknown> {
  const { metadata, ...others } = status as { metadata: Record<string, string> | null };
  return { ...others, metadata: Object.entries(metadata ?? {}).filter(([name]) => !name.startsWith("_nats.")) };
}

async function digestOf(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `SHA-256=${hash.toBase64({ alphabet: "base64url" })}`;
}
