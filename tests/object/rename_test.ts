import { assert, assertEquals, assertRejects } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { Proxy } from "../_support/proxy.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

const DATA = randomBytes(300_000);

const test = testFrom("2.12");

test("ObjectBucket.update renames an object, whose bytes outlive other objects of its old name", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("names");
  const put = (await bucket.put("old", DATA, { description: "d" }))!;
  const renamed = await bucket.update("old", { name: "new", metadata: { k: "v" } });
  assert(renamed);
  const { mtime: _, ...info } = renamed;
  const { mtime: __, ...before } = put;
  assertEquals(info, { ...before, name: "new", metadata: { k: "v" } });
  assertEquals([await bucket.get("old"), await bucket.info("old")], [null, null]);
  assertBytes(await bucket.get("new"), DATA);
  assertEquals((await Array.fromAsync(bucket.list())).map(({ name }) => name), ["new"]);
  const official = await new Objm(server.nc).create("names");
  assertBytes((await official.getBlob("new"))!, DATA);
  // This client removes the chunks of what is deleted already.
  await official.delete("old");
  await bucket.put("old", "another");
  await bucket.delete("old");
  await server.stores.close();
  await server.stores.connect();
  assertBytes(await bucket.get("new"), DATA);
  assertEquals(await bucket.delete("new"), true);
  await server.assertClean("names", true);
});

test("ObjectBucket.update keeps an object of the new name, and takes the name of a deleted one", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("names");
  await bucket.put("a", "of a");
  await bucket.put("b", "of b");
  await bucket.link("l", { bucket: "names", name: "a" });
  for (const name of ["b", "l"]) assertEquals(await bucket.update("a", { name }), false);
  assertEquals(await bucket.update("none", { name: "c" }), false);
  assertEquals([await bucket.getText("a"), await bucket.getText("b"), await bucket.getText("l")], [
    "of a",
    "of b",
    "of a",
  ]);
  await bucket.delete("b");
  assert(await bucket.update("a", { name: "b" }));
  assert(await bucket.update("b", { name: "b", description: "d" }));
  assertEquals([await bucket.getText("a"), await bucket.getText("b")], [null, "of a"]);
  assert(await bucket.update("l", { name: "link" }));
  assertEquals((await bucket.info("link"))?.link, { bucket: "names", name: "a" });
  await assertRejects(() => bucket.update("b", { name: "" }), TypeError, "'name'");
  await server.assertClean("names");
});

test("ObjectBucket.update renames in one step: of several at once one does, and a put beside it keeps its own bytes", async () => {
  await using server = await ObjectServer.start();
  await using others = new ObjectServer.Stores(server.server.url);
  const [bucket, other] = [server.bucket("names"), others.objectBucket("names")];
  for (let round = 0; round < 30; round++) {
    await bucket.put("a", `old ${round}`);
    const renames = await Promise.all([
      bucket.update("a", { name: `b${round}` }),
      other.update("a", { name: `c${round}` }),
    ]);
    // One whose answer took a second was sent twice, and cannot know whose it is.
    assertEquals(renames.filter(Boolean).map((info) => info && info.size), [`old ${round}`.length]);
    const names = await Promise.all(["a", `b${round}`, `c${round}`].map((name) => bucket.getText(name)));
    assertEquals(names.filter((text) => text !== null), [`old ${round}`]);
    assertEquals(names[0], null);
    await bucket.put("a", `old ${round}`);
    const [put, moved] = await Promise.all([other.put("a", `new ${round}`), bucket.update("a", { name: `d${round}` })]);
    assert(put && moved !== false);
    const [a, d] = [await bucket.getText("a"), await bucket.getText(`d${round}`)];
    const isBefore = a === `new ${round}` && d === (moved ? `old ${round}` : null);
    assert(isBefore || moved && a === null && d === `new ${round}`, `${a}, ${d}`);
    await bucket.delete("a");
  }
  await others.close();
  await server.assertClean("names");
});

test("ObjectBucket.update confirms a rename by what is stored when its reply is lost", async () => {
  await using server = await ObjectServer.start();
  let lost = 0;
  const drop = (_subject: string, payload: string) => payload.includes('"batch"') && lost-- > 0;
  await using proxy = new Proxy(server.server.url, { drop });
  await using stores = new ObjectServer.Stores(proxy.url, { timeout: 20_000 });
  const bucket = stores.objectBucket("names");
  await bucket.put("a", DATA);
  lost = 1;
  const renamed = await bucket.update("a", { name: "b" });
  assertEquals([renamed && renamed.name, lost], ["b", 0]);
  assertBytes(await bucket.get("b"), DATA);
});

test("ObjectBucket.update leaves one of both names when the server is killed", async () => {
  await using server = await ObjectServer.start({}, { timeout: 20_000 });
  const bucket = server.bucket("names");
  await bucket.put("1", DATA);
  for (let i = 1; i < 6; i++) {
    const renaming = bucket.update(`${i}`, { name: `${i + 1}` });
    await server.server.kill();
    await server.server.restart();
    await renaming;
    await waitUntil(() => server.stores.connectionStatus() === "connected");
    const present = (await Array.fromAsync(bucket.list())).map(({ name }) => name);
    assertEquals(present.length, 1, `${present}`);
    if (present[0] !== `${i + 1}`) assert(await bucket.update(present[0], { name: `${i + 1}` }));
    assertBytes(await bucket.get(`${i + 1}`), DATA);
  }
});

test("ObjectBucket.update and KvTransaction.commit have at most 16 batches of a bucket under way over one connection", async () => {
  await using server = await ObjectServer.start();
  // By the reply subject of the message that ends a batch, the subject of that message, which is the same when it is sent again.
  const underWay = new Map<string, string>();
  const most = { $O: 0, $KV: 0 };
  const lose = (subject: string, payload: string, reply = "") => {
    if (payload.includes("Nats-Batch-Commit")) underWay.set(reply, subject);
    const all = [...new Set(underWay.values())];
    for (const kind of ["$O", "$KV"] as const) {
      most[kind] = Math.max(most[kind], all.filter((subject) => subject.startsWith(`${kind}.`)).length);
    }
    return false;
  };
  const drop = (subject: string) => underWay.delete(subject) && false;
  await using proxy = new Proxy(server.server.url, { lose, drop });
  await using stores = new ObjectServer.Stores(proxy.url, { timeout: 60_000 });
  const [objects, values] = [stores.objectBucket("names"), stores.kvBucket("names")];
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  await Promise.all(numbers.map((i) => objects.put(`a${i}`, `${i}`)));
  const renames = Promise.all(numbers.map((i) => objects.update(`a${i}`, { name: `b${i}` })));
  const commits = Promise.all(numbers.map((i) => values.atomic().put(`x${i}`, "1").put(`y${i}`, "1").commit()));
  assertEquals((await renames).map((info) => info && info.name), numbers.map((i) => `b${i}`));
  assertEquals((await commits).map((result) => result?.ok), numbers.map(() => true));
  for (const count of Object.values(most)) assert(count > 1 && count <= 16, JSON.stringify(most));
});

test("ObjectBucket.update renames in a bucket that another process has destroyed and made again", async () => {
  await using server = await ObjectServer.start();
  await using others = new ObjectServer.Stores(server.server.url);
  const [bucket, other] = [server.bucket("names"), others.objectBucket("names")];
  await bucket.put("a", "first");
  assert(await bucket.update("a", { name: "b" }));
  assertEquals(await other.destroy(), true);
  assert(await other.put("a", "second"));
  assert(await bucket.update("a", { name: "b" }));
  assertEquals([await bucket.getText("a"), await bucket.getText("b")], [null, "second"]);
});
