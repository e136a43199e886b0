import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import { Proxy } from "../_support/proxy.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

Deno.test("ObjectBucket.put and delete that lose a reply retry, and leave no chunks", async () => {
  await using server = await ObjectServer.start();
  let replies = 0;
  let lost = -1;
  await using proxy = new Proxy(server.server.url, {
    drop: (_, payload) => payload.includes('"seq":') && replies++ === lost,
  });
  await using other = new ObjectServer.Stores(proxy.url);
  const bucket = other.objectBucket("lost");
  await bucket.put("a", "first");
  // The chunk's, and the info's.
  for (const which of [0, 1]) {
    [replies, lost] = [0, which];
    const since = performance.now();
    assertEquals((await bucket.put("a", `lost ${which}`))?.size, 6);
    assertLess(performance.now() - since, 15_000);
    assertEquals(await server.bucket("lost").getText("a"), `lost ${which}`);
    await server.assertClean("lost");
  }
  lost = -1;
  await bucket.put("b", "x");
  await server.assertClean("lost");
});

Deno.test("ObjectBucket.put of several chunks that loses their confirmation looks whether they are stored", async () => {
  await using server = await ObjectServer.start();
  let acks = 0;
  await using proxy = new Proxy(server.server.url, {
    drop: (_, payload) => payload.startsWith('{"stream":') && acks++ < 2,
  });
  await using other = new ObjectServer.Stores(proxy.url);
  const bucket = other.objectBucket("lost");
  const data = randomBytes(2_500);
  assertEquals((await bucket.put("a", data, { chunkSize: 1_000 }))?.chunks, 3);
  assertBytes(await bucket.get("a"), data);
  acks = 0;
  assertEquals((await bucket.putStream("a", new Blob([data]).stream(), { chunkSize: 1_000 }))?.chunks, 3);
  assertBytes(await bucket.get("a"), data);
  await server.assertClean("lost");
  assertEquals(other.connectionCounters().timedOut, 0);
});

Deno.test("ObjectBucket.delete and a put of several chunks that lose the info's confirmation look whether it is stored", async () => {
  await using server = await ObjectServer.start();
  let acks = 0;
  let lost = -1;
  await using proxy = new Proxy(server.server.url, {
    drop: (_, payload) => payload.startsWith('{"stream":') && acks++ === lost,
  });
  await using other = new ObjectServer.Stores(proxy.url);
  const bucket = other.objectBucket("lost");
  const put = () => bucket.put("a", randomBytes(2_500), { chunkSize: 1_000 });
  for (const before of [false, true]) {
    [acks, lost] = [0, 3];
    assertEquals((await put())?.chunks, 3, `with a version before: ${before}`);
    assertEquals(acks, 4);
    assertEquals((await server.bucket("lost").info("a"))?.size, 2_500);
    await server.assertClean("lost");
  }
  [acks, lost] = [0, 0];
  assertEquals(await bucket.delete("a"), true);
  assertEquals(acks, 1);
  assertEquals(await server.bucket("lost").info("a"), null);
  await server.assertClean("lost");
  assertEquals(other.connectionCounters().timedOut, 0);
});

Deno.test("ObjectBucket.put of several chunks that is unconfirmed is kept if its info is stored, and leaves nothing if not", async () => {
  await using server = await ObjectServer.start();
  for (const arrives of [true, false]) {
    let silent = false;
    await using proxy = new Proxy(server.server.url, {
      drop: () => silent,
      lose: (subject) => {
        silent ||= subject.includes(".M.");
        return silent && !arrives;
      },
    });
    await using other = new ObjectServer.Stores(proxy.url, { timeout: 1_500 });
    const bucket = other.objectBucket("unsure");
    const data = randomBytes(2_500);
    // On a busy machine a call can end before its info is sent.
    await waitUntil(async () => {
      assertEquals(await bucket.put("a", data, { chunkSize: 1_000 }), null);
      return silent;
    });
    [silent, proxy.tampering.lose] = [false, undefined];
    // By the next write it is decided.
    await waitUntil(async () => await bucket.put("b", "x") !== null);
    await server.assertClean("unsure");
    const stored = await server.bucket("unsure").get("a");
    if (arrives) assertBytes(stored, data);
    else assertEquals(stored, null);
    await server.bucket("unsure").delete("a");
  }
});

Deno.test("ObjectBucket.put leaves one whole version and no chunks while every tenth reply is lost", async () => {
  await using server = await ObjectServer.start();
  let replies = 0;
  await using proxy = new Proxy(server.server.url, {
    drop: (_, payload) => payload.includes('"seq":') && replies++ % 10 === 9,
  });
  await using other = new ObjectServer.Stores(proxy.url);
  const bucket = other.objectBucket("lossy");
  const names = Array.from({ length: 12 }, (_, n) => `object-${n}`);
  await Promise.all(
    Array.from({ length: 24 }, (_, n) => bucket.put(names[n % names.length], `${names[n % names.length]} ${n}`)),
  );
  proxy.tampering.drop = undefined;
  for (const name of names) {
    const text = await bucket.getText(name);
    assertEquals(text?.split(" ")[0], name);
    await bucket.put(name, "last");
  }
  await server.assertClean("lossy");
});

Deno.test("ObjectBucket.put is null when one of several chunks never reached the stream, and leaves the version before", async () => {
  await using server = await ObjectServer.start();
  let [chunks, lost] = [0, 0];
  await using proxy = new Proxy(server.server.url, { lose: (subject) => subject.includes(".C.") && ++chunks === lost });
  await using other = new ObjectServer.Stores(proxy.url, { timeout: 2_500 });
  const bucket = other.objectBucket("lost");
  await waitUntil(async () => await bucket.put("a", "before") !== null);
  const data = randomBytes(5_000);
  [chunks, lost] = [0, 4];
  assertEquals(await bucket.put("a", data, { chunkSize: 1_000 }), null);
  assertEquals(chunks, 5);
  assertEquals(await server.bucket("lost").getText("a"), "before");
  await waitUntil(async () => await bucket.put("b", "x") !== null);
  await server.assertClean("lost");
});

Deno.test("ObjectBucket.put keeps its chunks where the info is stored, its confirmation was lost and the next try was refused", async () => {
  await using server = await ObjectServer.start();
  let lost = 0;
  await using proxy = new Proxy(server.server.url, {
    // The fourth acknowledgement is that of the info.
    drop: (_, payload) => payload.startsWith('{"stream":') && ++lost === 4,
    change: (_, payload) =>
      lost === 4 && payload.includes("stream_msg_get") ? '{"error":{"code":400,"err_code":10025}}' : undefined,
  });
  await using other = new ObjectServer.Stores(proxy.url);
  const bucket = other.objectBucket("lost");
  const data = randomBytes(2_500);
  await assertRejects(() => bucket.put("a", data, { chunkSize: 1_000 }), JetStreamStoreError, "10025");
  assertEquals(lost, 4);
  lost = 5;
  await bucket.put("b", "x");
  await other.close();
  assertBytes(await server.bucket("lost").get("a"), data);
  await server.assertClean("lost");
});

Deno.test("ObjectBucket.put that is unconfirmed is whole when its info arrives after close()", async () => {
  await using server = await ObjectServer.start();
  let late: { subject: string; payload: string } | undefined;
  await using proxy = new Proxy(server.server.url, {
    lose: (subject, payload) => {
      if (!subject.startsWith("$O.late.M.")) return false;
      late = { subject, payload };
      return true;
    },
  });
  const bucket = server.bucket("late");
  await bucket.put("a", randomBytes(300_000));
  const data = randomBytes(400_000);
  {
    await using other = new ObjectServer.Stores(proxy.url, { timeout: 1_500 });
    // On a busy machine a call can end before its info is sent.
    await waitUntil(async () => {
      assertEquals(await other.objectBucket("late").put("a", data), null);
      return late !== undefined;
    });
  }
  await sendRaw(server.server.url, late!);
  assertBytes(await bucket.get("a"), data);
});

/** Sends a message with headers as another connection had it, and waits until the server has read it. */
async function sendRaw(url: string, { subject, payload }: { subject: string; payload: string }): Promise<void> {
  const { hostname, port } = new URL(url);
  using socket = await Deno.connect({ hostname, port: Number(port) });
  const bytes = (text: string) => new TextEncoder().encode(text);
  const headers = payload.slice(0, payload.indexOf("\r\n\r\n") + 4);
  const [head, all] = [bytes(headers).length, bytes(payload).length - "\r\n".length];
  await socket.write(bytes('CONNECT {"verbose":false,"headers":true}\r\n'));
  await socket.write(bytes(`HPUB ${subject} ${head} ${all}\r\n${payload}PING\r\n`));
  const buffer = new Uint8Array(65_536);
  for (let read = ""; !read.includes("PONG");) {
    read += new TextDecoder().decode(buffer.subarray(0, await socket.read(buffer) ?? 0));
  }
}

for (const way of ["delete", "update", "rename", "link"] as const) {
  const test = way === "rename" ? testFrom("2.12") : Deno.test;
  test(`ObjectBucket.${way} is null, and leaves the object of another, when its reply was lost and its name used again since`, async () => {
    await using server = await ObjectServer.start();
    const other = server.bucket("lost");
    let isSent = false;
    let lost = false;
    // What another attempt sends must not be stored before the name is used again.
    await using proxy = new Proxy(server.server.url, {
      drop: (_, payload) =>
        lost && /^\{"(stream|error)":/.test(payload) && (isSent ||= payload.startsWith('{"stream":')),
      lose: (subject) => isSent && lost && subject.includes(".M."),
    });
    await using stores = new ObjectServer.Stores(proxy.url, { timeout: 60_000 });
    const bucket = stores.objectBucket("lost");
    await bucket.put("target", "t");
    if (way === "rename") {
      await bucket.put("first", "");
      await bucket.update("first", { name: "second" });
    }
    if (way !== "link") await bucket.put("a", "first");
    lost = true;
    const acts = {
      delete: () => bucket.delete("a"),
      update: () => bucket.update("a", { description: "of the first" }),
      rename: () => bucket.update("a", { name: "b" }),
      link: () => bucket.link("a", { bucket: "lost", name: "target" }),
    };
    const acting = acts[way]();
    await waitUntil(() => isSent);
    if (way === "link") await other.delete("a");
    assert(
      await (way === "link" ? other.link("a", { bucket: "lost", name: "another" }) : other.put("a", "of another")),
    );
    if (way === "rename") await other.delete("b");
    lost = false;
    assertEquals(await acting, null);
    const info = await other.info("a");
    if (way === "link") assertEquals(info?.link, { bucket: "lost", name: "another" });
    else assertEquals([await other.getText("a"), info?.description], ["of another", undefined]);
    assertEquals(await other.info("b"), null);
  });
}
