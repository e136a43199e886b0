import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

const SIZE = 300_000;
const ones = () => new Uint8Array(SIZE).fill(1);
const isOnes = (bytes: Uint8Array | null | undefined) => bytes?.length === SIZE && bytes.every((byte) => byte === 1);

/** Calls that take bytes, each with what it stored. */
const CALLS: [
  name: string,
  option: string,
  store: (stores: JetStreamStores, bytes: Uint8Array) => Promise<unknown>,
  load: (stores: JetStreamStores) => Promise<Uint8Array | null | undefined>,
][] = [
  ["KvBucket.put", "value", (stores, bytes) => stores.kvBucket("kv").put("put", bytes), valueOf("put")],
  ["KvBucket.create", "value", (stores, bytes) => stores.kvBucket("kv").create("create", bytes), valueOf("create")],
  ["ObjectBucket.put", "data", (stores, bytes) => stores.objectBucket("o").put("large", bytes), objectOf("large")],
  [
    "ObjectBucket.put of one piece",
    "data",
    (stores, bytes) => stores.objectBucket("o").put("small", bytes, { chunkSize: SIZE }),
    objectOf("small"),
  ],
];

function valueOf(key: string) {
  return async (stores: JetStreamStores) => (await stores.kvBucket("kv").get(key))?.value;
}

function objectOf(name: string) {
  return (stores: JetStreamStores) => stores.objectBucket("o").get(name);
}

for (const [name, option, store, load] of CALLS) {
  Deno.test(`${name} stores its bytes as they were at the call, before there is a connection and with one`, async () => {
    await using server = await startNatsServer();
    await using stores = new JetStreamStores({
      servers: server.url,
      connectTimeout: TIMEOUT_MS,
      logger: new CollectedLog(),
    });
    for (let i = 0; i < 2; i++) {
      const bytes = ones();
      const stored = store(stores, bytes);
      bytes.fill(2);
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      await stored;
      assertEquals(isOnes(await load(stores)), true);
    }
  });

  Deno.test(`${name} takes bytes over shared and resizable memory`, async () => {
    await using server = await startNatsServer();
    await using stores = new JetStreamStores({
      servers: server.url,
      connectTimeout: TIMEOUT_MS,
      logger: new CollectedLog(),
    });
    const shared = new Uint8Array(new SharedArrayBuffer(SIZE)).fill(1);
    await store(stores, shared);
    assertEquals(isOnes(await load(stores)), true);
    const memory = new ArrayBuffer(SIZE, { maxByteLength: SIZE });
    const resizable = new Uint8Array(memory).fill(1);
    if (name === "KvBucket.create") await stores.kvBucket("kv").delete("create");
    const stored = store(stores, resizable);
    memory.resize(0);
    await stored;
    assertEquals(isOnes(await load(stores)), true);
  });

  Deno.test(`${name} throws a TypeError that names '${option}' for bytes whose buffer is gone, and the connection stays`, async () => {
    await using server = await startNatsServer();
    await using stores = new JetStreamStores({
      servers: server.url,
      connectTimeout: TIMEOUT_MS,
      logger: new CollectedLog(),
    });
    await stores.connect();
    const detached = ones();
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const memory = new ArrayBuffer(SIZE, { maxByteLength: SIZE });
    const shrunk = new Uint8Array(memory, 0, SIZE);
    memory.resize(10);
    for (const bytes of [detached, shrunk]) {
      await assertRejects(() => store(stores, bytes), TypeError, `as '${option}' must have its bytes`);
    }
    assertEquals(await stores.storeKV("k", "v"), 1);
    assertEquals(stores.connectionCounters().disconnects, 0);
  });
}

Deno.test("ObjectBucket.putStream takes parts over shared memory, and stores nothing if a part's buffer is transferred", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({
    servers: server.url,
    connectTimeout: TIMEOUT_MS,
    logger: new CollectedLog(),
  });
  const bucket = stores.objectBucket("o");
  const shared = new Uint8Array(new SharedArrayBuffer(SIZE)).fill(1);
  await bucket.putStream("o", ReadableStream.from([shared]));
  assertEquals(isOnes(await bucket.get("o")), true);

  for (const chunkSize of [SIZE / 3, 1_000, 400_000]) {
    const parts = async function* () {
      const part = new Uint8Array(SIZE);
      yield part;
      await bucket.info("o");
      structuredClone(part.buffer, { transfer: [part.buffer] });
      yield part;
    };
    const stored = bucket.putStream("o", ReadableStream.from(parts()), { chunkSize });
    await assertRejects(() => stored, TypeError, "the buffer of a part that its source gave was transferred");
    assertEquals(isOnes(await bucket.get("o")), true);
  }
});

Deno.test("values of another kind are refused by one TypeError, also a proxy that was revoked or throws", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  const throws = () => {
    throw new Error("a second error");
  };
  const hostile = new Proxy({}, { get: throws, getPrototypeOf: throws, has: throws, ownKeys: throws });
  const odd: unknown[] = [
    revoked,
    hostile,
    null,
    {},
    [1],
    new ArrayBuffer(1),
    new Uint16Array(1),
    new DataView(new ArrayBuffer(1)),
  ];
  for (const value of odd as never[]) {
    const name = "must be";
    await assertRejects(
      () => stores.kvBucket("k").put("k", value),
      TypeError,
      `'value' ${name} a string or a Uint8Array`,
    );
    await assertRejects(() => stores.objectBucket("o").put("n", value), TypeError, `'data' ${name} a string or`);
    await assertRejects(() => stores.objectBucket("o").putStream("n", value), TypeError, `'source' ${name} a Readable`);
    const signal = value;
    if (value !== null) {
      assertThrows(() => stores.kvBucket("k").watch(">", { signal }), TypeError, "'signal' must be an");
    }
  }
  await stores.close();
});

Deno.test("ObjectBucket.putStream refuses what is no stream, and one that others read", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  const bucket = stores.objectBucket("o");
  const locked = new Blob(["a"]).stream();
  locked.getReader();
  const rule = "'source' must be a ReadableStream without another reader";
  for (const source of [locked, null, "text", new Uint8Array(1), [new Uint8Array(1)], { locked: false }]) {
    await assertRejects(() => bucket.putStream("o", source as never), TypeError, rule);
  }
  await stores.close();
});
