import { assert, assertEquals, assertRejects } from "@std/assert";
import { type KV as KvOfVersion3, Kvm } from "@nats-io/kv";
import { connect as connectVersion3 } from "@nats-io/transport-node";
import { connect as connectVersion2, type KV as KvOfVersion2 } from "nats";
import { startNatsServer } from "../../src/testing/mod.ts";
import { hasProgram } from "../_support/has_program.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { NatsGo, withoutGo } from "../_support/nats_go.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** What the two official clients have in common. */
interface OtherClient extends AsyncDisposable {
  create(bucket: string): Promise<KvOfVersion2 | KvOfVersion3>;
}

const CLIENTS: Record<string, (url: string) => Promise<OtherClient>> = {
  "npm:nats 2": async (url) => {
    const nc = await connectVersion2({ servers: url });
    return {
      create: (bucket) => nc.jetstream().views.kv(bucket, { history: 5 }),
      [Symbol.asyncDispose]: () => nc.close(),
    };
  },
  "@nats-io/kv": async (url) => {
    const nc = await connectVersion3({ servers: url });
    return { create: (bucket) => new Kvm(nc).create(bucket, { history: 5 }), [Symbol.asyncDispose]: () => nc.close() };
  },
};

/** Keys that all clients take as they are, and one as others see it. */
const PLAIN = ["a", "user.42.name", "path/to_it-1=x", "UPPER.lower"];
const VALUES = ["", "v", "ü😀", "x".repeat(100_000)];

for (const [name, open] of Object.entries(CLIENTS)) {
  Deno.test(`KvBucket reads what ${name} wrote`, async () => {
    await using server = await startNatsServer();
    await using stores = new KvStores({ servers: server.url });
    await using client = await open(server.url);
    const theirs = await client.create("shared");
    const ours = stores.kvBucket("shared");
    for (const key of PLAIN) {
      for (const value of VALUES) {
        const revision = await theirs.put(key, new TextEncoder().encode(value));
        const entry = await ours.get(key);
        assertEquals([entry?.key, entry?.text(), entry?.revision], [key, value, revision]);
      }
    }
    assertEquals((await ours.getMany(PLAIN))?.size, PLAIN.length);
    await theirs.delete("a");
    await theirs.purge("UPPER.lower");
    assertEquals([await ours.get("a"), await ours.get("UPPER.lower")], [null, null]);
    assertEquals(await Array.fromAsync(ours.keys()), ["user.42.name", "path/to_it-1=x"]);
    assertEquals((await Array.fromAsync(ours.history("a"))).map(({ operation }) => operation), [
      "put",
      "put",
      "put",
      "put",
      "delete",
    ]);
    assertEquals((await Array.fromAsync(ours.history("UPPER.lower"))).map(({ operation }) => operation), ["purge"]);
    const created = await ours.create("a", "ours");
    assert(created);
    assertEquals(await theirs.update("a", new TextEncoder().encode("theirs"), created), created + 1);
    assertEquals(await ours.update("a", "ours", created), false);
    assertEquals(await ours.update("a", "ours", created + 1), created + 2);
  });

  Deno.test(`KvBucket writes what ${name} reads`, async () => {
    await using server = await startNatsServer();
    await using stores = new KvStores({ servers: server.url });
    await using client = await open(server.url);
    const ours = stores.kvBucket("shared", { history: 5 });
    await ours.put("first", "v");
    const theirs = await client.create("shared");
    for (const key of PLAIN) {
      for (const value of VALUES) {
        const revision = await ours.put(key, value);
        const entry = await theirs.get(key);
        assertEquals([entry?.key, entry?.string(), entry?.revision, entry?.operation], [key, value, revision, "PUT"]);
      }
    }
    await ours.put("not plain.ü", "v");
    const encoded = "=bm90IHBsYWlu.=w7w";
    assertEquals((await theirs.get(encoded))?.string(), "v");
    await ours.delete("a");
    await ours.purge("UPPER.lower");
    assertEquals((await theirs.get("a"))?.operation, "DEL");
    assertEquals((await theirs.get("UPPER.lower"))?.operation, "PURGE");
    assertEquals(await Array.fromAsync(await theirs.keys()), ["first", "user.42.name", "path/to_it-1=x", encoded]);
    const status = await theirs.status();
    assertEquals([status.history, status.ttl, status.bucket], [5, 0, "shared"]);
    assert(await theirs.create("a", new TextEncoder().encode("theirs")));
    assertEquals((await ours.get("a"))?.text(), "theirs");
  });

  Deno.test(`KvBucket.watch and a watch of ${name} see the same`, async () => {
    await using server = await startNatsServer();
    await using stores = new KvStores({ servers: server.url });
    await using client = await open(server.url);
    const theirs = await client.create("shared");
    const ours = stores.kvBucket("shared");
    await theirs.put("a", "1");
    const watch = await theirs.watch();
    const seenByThem: string[] = [];
    const watching = (async () => {
      for await (const { key, operation, revision } of watch) {
        if (seenByThem.push(`${key} ${operation} ${revision}`) === 5) break;
      }
    })();
    const seenByUs: string[] = [];
    const also = (async () => {
      const names = { put: "PUT", delete: "DEL", purge: "PURGE" };
      for await (const { key, operation, revision } of ours.watch()) {
        if (seenByUs.push(`${key} ${names[operation]} ${revision}`) === 5) break;
      }
    })();
    await waitUntil(() => seenByUs.length > 0 && seenByThem.length > 0);
    await ours.put("b", "2");
    await theirs.put("b", "3");
    await ours.delete("a");
    // A purge removes what was before it, sent or not.
    await waitUntil(() => seenByUs.length === 4 && seenByThem.length === 4);
    await theirs.purge("b");
    await Promise.all([watching, also]);
    assertEquals(seenByUs, ["a PUT 1", "b PUT 2", "b PUT 3", "a DEL 4", "b PURGE 5"]);
    assertEquals(seenByThem, seenByUs);
  });
}

const hasNatsCli = await hasProgram("nats", "--version");

Deno.test({
  name: `KvBucket and the nats command read each other${
    hasNatsCli ? "" : " (not tested here: no nats command on the PATH)"
  }`,
  ignore: !hasNatsCli,
  fn: async () => {
    await using server = await startNatsServer();
    await using stores = new KvStores({ servers: server.url });
    const nats = async (...args: string[]) => {
      const { success, stdout, stderr } = await new Deno.Command("nats", {
        args: ["--server", server.url, "kv", ...args],
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      if (!success) throw new Error(`nats kv ${args.join(" ")}: ${out}${err}`);
      return out.trim();
    };
    await nats("add", "shared", "--history", "5");
    const ours = stores.kvBucket("shared");
    for (const key of PLAIN) {
      await nats("put", "shared", key, "theirs ü");
      assertEquals((await ours.get(key))?.text(), "theirs ü");
      await ours.put(key, "ours ü");
      assertEquals(await nats("get", "shared", key, "--raw"), "ours ü");
    }
    await nats("del", "shared", "a", "--force");
    await nats("purge", "shared", "UPPER.lower", "--force");
    assertEquals([await ours.get("a"), await ours.get("UPPER.lower")], [null, null]);
    assertEquals((await Array.fromAsync(ours.history("a"))).map(({ operation }) => operation), [
      "put",
      "put",
      "delete",
    ]);
    await ours.delete("user.42.name");
    assertEquals(await nats("ls", "shared"), "path/to_it-1=x");
    const revision = Number(await ours.create("a", "created"));
    await nats("update", "shared", "a", "updated", String(revision));
    assertEquals((await ours.get("a"))?.text(), "updated");
    // A bucket of ours is one of theirs, too.
    await stores.kvBucket("ours", { ttl: 60_000 }).put("k", "v");
    assertEquals(await nats("get", "ours", "k", "--raw"), "v");
    await nats("put", "ours", "l", "v");
    assertEquals((await stores.kvBucket("ours").get("l"))?.text(), "v");
  },
});

Deno.test({
  name: `KvBucket and nats.go read each other${withoutGo}`,
  ignore: withoutGo !== "",
  fn: async () => {
    await using server = await startNatsServer();
    await using stores = new KvStores({ servers: server.url });
    const ours = stores.kvBucket("shared", { history: 5 });
    for (const key of PLAIN) await ours.put(key, `ours ü ${key}`);
    await ours.delete("a");
    await using go = await NatsGo.start(server.url);
    const call = (command: string, ...args: string[]) => go.call(`kv.${command}`, "shared", ...args);
    await assertRejects(() => call("get", "a"), Error, "key not found");
    for (const key of PLAIN.slice(1)) assertEquals(await call("get", key), `ours ü ${key}`);
    assertEquals(await call("list"), PLAIN.slice(1));
    assertEquals(await call("history", "a"), ["KeyValuePutOp", "KeyValueDeleteOp"]);
    for (const key of PLAIN) await call("put", key, "theirs");
    await call("delete", "a");
    const revision = await call("create", "a", "created");
    await call("update", "a", "updated", String(revision));
    await call("purge", PLAIN[1]);
    const values = await Promise.all(PLAIN.map((key) => ours.get(key)));
    assertEquals(values.map((entry) => entry?.text()), ["updated", undefined, "theirs", "theirs"]);
    const operations = (await Array.fromAsync(ours.history("a"))).map(({ operation }) => operation);
    assertEquals(operations, ["delete", "put", "delete", "put", "put"]);
  },
});
