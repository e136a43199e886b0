import { assertEquals, assertRejects } from "@std/assert";
import { ChunkMemory, sourceChunks } from "../../../src/object/format/object_data.ts";

const SIZE = 40;

/** The chunks of a source that gives one part; `stored` is called with each. */
async function chunksOf(part: Uint8Array, stored: (chunk: Uint8Array) => void): Promise<number[]> {
  const sizes: number[] = [];
  for await (const chunk of sourceChunks(ReadableStream.from([part]), new ChunkMemory(10))) {
    sizes.push(chunk.length);
    stored(chunk);
  }
  return sizes;
}

const resizable = () => new ArrayBuffer(SIZE, { maxByteLength: 2 * SIZE });

for (const [kind, view] of [["a whole", undefined], ["a part of a", SIZE]] as const) {
  Deno.test(`sourceChunks throws where ${kind} buffer is shrunk between two chunks`, async () => {
    const buffer = resizable();
    const shrinking = chunksOf(new Uint8Array(buffer, 0, view), () => buffer.resize(20));
    await assertRejects(() => shrinking, TypeError, "was transferred or shrunk");
  });
}

Deno.test("sourceChunks throws where the memory of a part has gone before it is read", async () => {
  const buffer = resizable();
  const part = new Uint8Array(buffer, 0, SIZE);
  buffer.resize(20);
  await assertRejects(() => chunksOf(part, () => {}), TypeError, "was transferred or shrunk");
});

Deno.test("sourceChunks gives the bytes that a part had when it came, though its buffer grows", async () => {
  const buffer = resizable();
  assertEquals(await chunksOf(new Uint8Array(buffer), () => buffer.resize(2 * SIZE)), [10, 10, 10, 10]);
});
