import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

const MiB = 1_048_576;

/** A source that gives a part again and again, and tells how it is used. */
class Source {
  given = 0;
  cancelled: unknown = null;
  readonly stream: ReadableStream<Uint8Array>;

  constructor(part: Uint8Array, parts: number, failure?: Error) {
    this.stream = new ReadableStream({
      pull: (controller) => {
        if (this.given < parts) controller.enqueue(part), this.given++;
        else if (failure) controller.error(failure);
        else controller.close();
      },
      cancel: (reason) => {
        this.cancelled = reason ?? "cancelled";
      },
    }, { highWaterMark: 0 });
  }
}

Deno.test("ObjectBucket.putStream stores what the stream gives, in whatever parts", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("parts");
  const data = randomBytes(2 * MiB + 17);
  for (const size of [1_000, 131_072, 200_000, 3 * MiB]) {
    const parts = Array.from(
      { length: Math.ceil(data.length / size) },
      (_, i) => data.subarray(i * size, (i + 1) * size),
    );
    const info = await bucket.putStream("object", ReadableStream.from(parts), { description: `by ${size}` });
    assertEquals([info?.size, info?.chunks, info?.description], [data.length, 17, `by ${size}`]);
    assertBytes(await bucket.get("object"), data);
  }
  assertEquals((await bucket.putStream("empty", new Blob([]).stream()))?.chunks, 0);
  assertEquals(await bucket.getText("empty"), "");
  await server.assertClean("parts");
});

Deno.test("ObjectBucket.getStream gives the bytes of an object chunk by chunk", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("chunks");
  for (const size of [0, 1, 131_072, 131_073, 9 * MiB]) {
    const data = randomBytes(size);
    await bucket.put("object", data);
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await bucket.getStream("object"))!) {
      assertEquals(Object.getPrototypeOf(chunk), Uint8Array.prototype);
      chunks.push(chunk);
    }
    assertEquals(chunks.length, Math.ceil(size / 131_072));
    assertBytes(await new Blob(chunks as BlobPart[]).bytes(), data);
  }
});

Deno.test("ObjectBucket.putStream takes no more from its source than the server has room for", async () => {
  await using server = await ObjectServer.start();
  const part = randomBytes(131_072);
  let given = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (given === 0) server.server.suspend();
      if (given++ < 1_000) controller.enqueue(part);
      else controller.close();
    },
  }, { highWaterMark: 0 });
  const put = server.bucket("backpressure").putStream("object", source);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assertLess(given, 80);
  server.server.resume();
  assertEquals((await put)?.size, 1_000 * 131_072);
});

Deno.test("ObjectBucket.get asks for no more at the same time than the server keeps for one connection", async () => {
  // 160 MB take a slow machine longer than a call may by default.
  await using server = await ObjectServer.start({ config: "max_pending: 48MB" }, { timeout: 30_000 });
  const bucket = server.bucket("many");
  const data = randomBytes(4 * MiB);
  await bucket.put("object", data);
  const got = await Promise.all(Array.from({ length: 40 }, () => bucket.get("object")));
  for (const bytes of got) assertBytes(bytes, data);
  assertEquals(server.stores.connectionCounters().disconnects, 0);
});

Deno.test("ObjectBucket.get asks for nothing more once its deadline is over, also where it has waited for others", async () => {
  await using server = await ObjectServer.start();
  // Neither chunks nor the end of a page arrive, so that no read gives back what it has of the budget before its deadline.
  const drop = (_: string, payload: string) => payload.length > 100_000 || payload.includes(" 204 ");
  await using proxy = new Proxy(server.server.url, { drop });
  await using other = new ObjectServer.Stores(proxy.url, { timeout: 1_000 });
  await server.bucket("late").put("object", randomBytes(2 * MiB));
  let asked = 0;
  server.nc.subscribe("$JS.API.DIRECT.GET.OBJ_late", { callback: () => void asked++ });
  await server.nc.flush();
  // The info is there, so that what is waited for is the chunks.
  await waitUntil(async () => await other.objectBucket("late").info("object") !== null);
  let spread = 0;
  // On a busy machine all of it may be over before the first has its info.
  await waitUntil(async () => {
    asked = 0;
    const since = performance.now();
    const reads = Array.from({ length: 40 }, () => other.objectBucket("late").get("object"));
    spread = performance.now() - since;
    assertEquals(new Set(await Promise.all(reads)), new Set([null]));
    await server.nc.flush();
    return asked > 0;
  });
  // 8 MiB may be under way at the same time. Those that began later than the first may ask as these end, which is seen every 50 ms.
  assertLess(asked, 4 * (2 + Math.ceil(spread / 50)) + 1);
});

Deno.test("ObjectBucket.getStream fetches no more than a few chunks ahead, and ends when it is cancelled early", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("early");
  await bucket.put("object", randomBytes(30 * MiB));
  const { nc } = server;
  const sent = async () =>
    (await server.server.monitor(`/connz?cid=${clientId}`))!.connections as { out_bytes: number }[];
  const clientId = await otherClient(server, nc.info!.client_id);
  const before = (await sent())[0].out_bytes;
  const reader = (await bucket.getStream("object"))!.getReader();
  assertEquals((await reader.read()).value?.length, 131_072);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assertLess((await sent())[0].out_bytes - before, 10 * MiB);
  await reader.cancel();
  await server.assertClean("early");
  assertEquals(await bucket.getText("none"), null);
});

async function otherClient(server: ObjectServer, known: number): Promise<number> {
  const { connections } = (await server.server.monitor("/connz"))! as { connections: { cid: number }[] };
  return connections.find(({ cid }) => cid !== known)!.cid;
}

Deno.test("ObjectBucket.putStream throws what its source throws, and leaves the version before", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("source");
  await bucket.put("object", "before");
  const failure = new Error("the disk is gone");
  await assertRejects(
    () => bucket.putStream("object", new Source(randomBytes(MiB), 3, failure).stream),
    Error,
    "the disk is gone",
  );
  const texts = ReadableStream.from(["not bytes"]) as unknown as ReadableStream<Uint8Array>;
  await assertRejects(() => bucket.putStream("object", texts), TypeError, "must give Uint8Arrays");
  assertEquals(await bucket.getText("object"), "before");
  await server.assertClean("source");
});

Deno.test("ObjectBucket.putStream throws the reason of an aborted signal, cancels its source and leaves the version before", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("aborted");
  await bucket.put("object", "before");
  const part = randomBytes(MiB);
  for (const waits of [true, false]) {
    const abort = new AbortController();
    const source = new Source(part, 1_000_000);
    // One source has nothing more to give, the other one always has.
    let given = 0;
    const stuck = new ReadableStream<Uint8Array>({
      pull: (controller) => given++ < 2 ? controller.enqueue(part) : new Promise(() => {}),
      cancel: (reason) => void (source.cancelled = reason),
    });
    const put = bucket.putStream("object", waits ? stuck : source.stream, { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 50);
    await assertRejects(() => put, Error, "enough");
    assertEquals((source.cancelled as Error).message, "enough");
  }
  const late = new Source(part, 1);
  await assertRejects(() => bucket.putStream("object", late.stream, { signal: AbortSignal.abort() }), DOMException);
  assert(late.cancelled);
  assertEquals(await bucket.getText("object"), "before");
  await server.assertClean("aborted");
});

Deno.test("ObjectBucket.putStream does not wait until its source has been cancelled", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("stuck");
  const endless = (part: unknown) =>
    new ReadableStream({
      pull: (controller) => controller.enqueue(part),
      cancel: () => new Promise<void>(() => {}),
    });
  await assertRejects(() => bucket.putStream("object", endless("no bytes")), TypeError, "must give Uint8Arrays");
  const abort = new AbortController();
  const put = bucket.putStream("object", endless(randomBytes(10_000)), { signal: abort.signal });
  await server.bucket("stuck").status();
  abort.abort(new Error("enough"));
  await assertRejects(() => put, Error, "enough");
});

Deno.test("ObjectBucket.putStream returns null when the connection breaks, cancels its source and leaves the version before", async () => {
  await using server = await ObjectServer.start();
  await using proxy = new Proxy(server.server.url);
  await using other = new ObjectServer.Stores(proxy.url);
  const bucket = other.objectBucket("broken");
  await bucket.put("object", "before");
  const source = new Source(randomBytes(MiB), 1_000_000);
  const put = bucket.putStream("object", source.stream);
  await waitUntil(() => source.given > 5);
  proxy.cut();
  assertEquals(await put, null);
  const { degraded, timedOut } = other.connectionCounters();
  assertEquals({ degraded, timedOut }, { degraded: 1, timedOut: 0 });
  assert(source.cancelled);
  await waitUntil(async () => await bucket.getText("object") === "before");
  // The next write clears away what the broken one has left.
  await bucket.put("other", "x");
  await server.assertClean("broken");
});

Deno.test("ObjectBucket.putStream returns null when the connection is closed while its source gives nothing, and cancels it", async () => {
  await using server = await ObjectServer.start();
  await using other = new ObjectServer.Stores(server.server.url);
  const asked = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const source = new ReadableStream<Uint8Array>({
    pull: () => {
      asked.resolve();
      return new Promise(() => {});
    },
    cancel: () => cancelled.resolve(),
  }, { highWaterMark: 0 });
  const put = other.objectBucket("idle").putStream("object", source);
  await within(asked.promise);
  await other.close();
  assertEquals(await within(put), null);
  await within(cancelled.promise);
});

for (const what of ["refused", "not confirmed"]) {
  Deno.test(`ObjectBucket.putStream ends when a chunk is ${what} while its source gives nothing, and cancels it`, async () => {
    await using server = await ObjectServer.start();
    const drop = (_subject: string, payload: string) => what === "not confirmed" && payload.includes('"seq"');
    await using proxy = new Proxy(server.server.url, { drop });
    await using other = new ObjectServer.Stores(proxy.url, { timeout: what === "refused" ? 10_000 : 500 });
    const cancelled = Promise.withResolvers<void>();
    const source = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(randomBytes(MiB)),
      cancel: () => cancelled.resolve(),
    });
    const options = what === "refused" ? { maxBytes: 10_000 } : {};
    const put = within(other.objectBucket("idle", options).putStream("object", source));
    if (what === "refused") await assertRejects(() => put, JetStreamStoreError, "maximum bytes exceeded");
    else assertEquals(await put, null);
    await within(cancelled.promise);
  });
}

Deno.test("ObjectBucket.putStream returns null and cancels its source without a connection", async () => {
  await using server = await ObjectServer.start({}, { servers: undefined });
  const source = new Source(randomBytes(10), 3);
  assertEquals(await server.bucket("none").putStream("object", source.stream), null);
  assertEquals([source.given, source.cancelled], [0, "cancelled"]);
});

Deno.test("ObjectBucket.getStream resumes after a reconnect", async () => {
  await using server = await ObjectServer.start();
  await using proxy = new Proxy(server.server.url);
  await using other = new ObjectServer.Stores(proxy.url);
  const data = randomBytes(20 * MiB);
  await server.bucket("goes-on").put("object", data);
  const stream = (await other.objectBucket("goes-on").getStream("object"))!;
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    if (chunks.length % 40 === 0) proxy.cut();
  }
  assertBytes(await new Blob(chunks as BlobPart[]).bytes(), data);
});

Deno.test("ObjectBucket.getStream resumes when chunks are taken during a reconnect", async () => {
  await using server = await ObjectServer.start();
  await using proxy = new Proxy(server.server.url);
  await using other = new ObjectServer.Stores(proxy.url);
  const data = randomBytes(6 * MiB);
  await server.bucket("goes-on").put("object", data);
  let batches = 0;
  proxy.tampering.drop = (_, payload) => {
    if (payload.startsWith("NATS/1.0 204")) batches++;
    return false;
  };
  const reader = (await other.objectBucket("goes-on").getStream("object"))!.getReader();
  const chunks = [(await reader.read()).value!];
  // Nothing is under way then that would wait for the next connection.
  await waitUntil(() => batches === 2);
  proxy.tampering.refuse = () => true;
  proxy.cut();
  await waitUntil(() => other.connectionStatus() === "reconnecting");
  proxy.tampering.refuse = undefined;
  for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value);
  assertBytes(await new Blob(chunks as BlobPart[]).bytes(), data);
});

Deno.test("ObjectBucket.getStream ends with an error when the object is replaced, or the connection stays lost", async () => {
  await using server = await ObjectServer.start();
  await using hasty = new ObjectServer.Stores(server.server.url, { timeout: 2_000 });
  const bucket = server.bucket("ends");
  const codes = [];
  // Old chunks are removed off the caller's path.
  const removed = () => waitUntil(async () => (await server.contents("ends")).orphans.length === 0);
  const ends = [
    [bucket, () => bucket.put("object", "new").then(removed)],
    [bucket, () => bucket.delete("object").then(removed)],
    [hasty.objectBucket("ends"), () => server.server.kill()],
  ] as const;
  for (const [reading, end] of ends) {
    assert(await bucket.put("object", randomBytes(8 * MiB)));
    let stream: ReadableStream<Uint8Array> | null = null;
    await waitUntil(async () => (stream = await reading.getStream("object")) !== null);
    const reader = stream!.getReader();
    await reader.read();
    await end();
    const error = await assertRejects(async () => {
      while (!(await reader.read()).done);
    }, JetStreamStoreError);
    codes.push(error.code);
  }
  assertEquals(codes, ["replaced", "replaced", "disconnected"]);
});
