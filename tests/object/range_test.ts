import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";
import { putUneven } from "./_uneven_object.ts";

const SIZE = 1_000;

/** Parts of an object of 1000 bytes, in chunks of 10. */
const RANGES: { start?: number; end?: number }[] = [
  {},
  { start: 0 },
  { end: 0 },
  { end: 1 },
  { end: 10 },
  { start: 5, end: 15 },
  { start: 10, end: 20 },
  { start: 499, end: 501 },
  { start: 555 },
  { start: 990, end: 1_000 },
  { start: 999 },
  { start: 1_000 },
  { start: 2_000, end: 3_000 },
  { start: 123, end: 123 },
  { start: 1, end: 5_000 },
];

/** Bytes of the messages of a bucket that go over the wire while something is done. */
async function chunksRead(server: ObjectServer, work: () => Promise<unknown>): Promise<number> {
  const { out_msgs: before } = await outgoing(server);
  await work();
  return (await outgoing(server)).out_msgs - before;
}

async function outgoing(server: ObjectServer): Promise<{ out_msgs: number }> {
  const { connections } = await (await fetch(`${server.server.monitorUrl}/connz`)).json();
  return { out_msgs: Math.max(...connections.map(({ out_msgs }: { out_msgs: number }) => out_msgs)) };
}

async function assertRanges(server: ObjectServer, bucket: string, name: string, data: Uint8Array): Promise<void> {
  for (const range of RANGES) {
    const expected = data.slice(range.start ?? 0, range.end ?? data.length);
    assertBytes(await server.bucket(bucket).get(name, range), expected);
    const stream = await server.bucket(bucket).getStream(name, range);
    assertBytes(new Uint8Array(await new Response(stream).arrayBuffer()), expected);
  }
}

Deno.test("ObjectBucket.get and getStream read a part of an object, whose chunks lie side by side or do not", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("parts", { maxChunkSize: 10 });
  const [one, other] = [randomBytes(SIZE), randomBytes(SIZE)];
  await bucket.put("one", one);
  await assertRanges(server, "parts", "one", one);
  // Two uploads at once lie one between the other.
  await Promise.all([bucket.put("one", other), ...Array.from({ length: 5 }, (_, i) => bucket.put(`${i}`, one))]);
  await assertRanges(server, "parts", "one", other);
  await assertRanges(server, "parts", "3", one);
});

Deno.test("ObjectBucket.get reads a part of an object whose chunks lie far apart", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("apart", { maxChunkSize: 10 });
  const data = randomBytes(SIZE);
  let filler = 0;
  const source = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const start = 10 * filler++;
      if (start === SIZE) return controller.close();
      // Ever more lies between two chunks.
      for (let i = 0; i < filler % 40; i++) await bucket.put("other", "");
      controller.enqueue(data.slice(start, start + 10));
    },
  });
  await bucket.putStream("apart", source);
  await assertRanges(server, "apart", "apart", data);
});

Deno.test("ObjectBucket.get reads a part of an object whose client made uneven chunks", async () => {
  await using server = await ObjectServer.start();
  await server.bucket("uneven").put("first", "makes the bucket");
  const data = randomBytes(SIZE);
  for (const sizes of [[10, 3], [9, 8, 7, 6], [10, 10, 10, 1]]) {
    const chunks: Uint8Array[] = [];
    for (let start = 0, i = 0; start < SIZE; start += sizes[i++ % sizes.length]) {
      chunks.push(data.slice(start, start + sizes[i % sizes.length]));
    }
    await putUneven(server, "uneven", "uneven", chunks);
    await assertRanges(server, "uneven", "uneven", data);
  }
});

Deno.test("ObjectBucket.get and getStream read an object that mixes small and large chunks", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("mixed");
  await bucket.put("first", "makes the bucket");
  const sizes = [3_000, 100_000, 4_096, 4_097, 1, 300_000, 10, 900_000, 5_000, 900_000, 20, 900_000, 7];
  const chunks = sizes.map(randomBytes);
  const data = new Uint8Array(await new Blob(chunks).arrayBuffer());
  await putUneven(server, "mixed", "mixed", chunks);
  assertBytes((await bucket.get("mixed"))!, data);
  assertBytes((await bucket.get("mixed", { start: 50_000, end: 2_000_000 }))!, data.subarray(50_000, 2_000_000));
  const parts = await Array.fromAsync((await bucket.getStream("mixed"))!);
  assertBytes(new Uint8Array(await new Blob(parts).arrayBuffer()), data);
  for (const part of parts) assertEquals(part.buffer.byteLength, part.length);
});

Deno.test("ObjectBucket.get reads the chunks of a part only, and one to know their size", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("large", { maxChunkSize: 100 });
  await bucket.put("large", randomBytes(100_000));
  await bucket.get("large", { start: 1, end: 2 });
  const read = await chunksRead(server, () => bucket.get("large", { start: 50_050, end: 50_250 }));
  // The info, the last chunk, the look for the first, three chunks, and what ends each of the two batches.
  assertLess(read, 12);
});

Deno.test("ObjectBucket.get reads a part where direct gets are off", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("indirect", { maxChunkSize: 10 });
  const data = randomBytes(SIZE);
  await bucket.put("one", data);
  const config = await server.config("indirect");
  await server.api("STREAM.UPDATE.OBJ_indirect", { ...config, allow_direct: false });
  await assertRanges(server, "indirect", "one", data);
});

Deno.test("ObjectBucket.getStream of a part ends with an error when the object is replaced", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("replaced");
  await bucket.put("one", randomBytes(8_000_000));
  const stream = (await bucket.getStream("one", { start: 1_000_000 }))!;
  const reader = stream.getReader();
  await reader.read();
  await bucket.put("one", "new");
  await server.assertClean("replaced");
  const error = await assertRejects(async () => {
    while (!(await reader.read()).done);
  }, JetStreamStoreError);
  assertEquals(error.code, "replaced");
  assertEquals(await bucket.get("one", { start: 3 }), new Uint8Array());
  assert(await bucket.delete("one"));
  assertEquals(await bucket.get("one", { start: 1 }), null);
});
