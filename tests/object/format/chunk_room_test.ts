import { assertEquals, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ChunkRoom } from "../../../src/object/format/chunk_room.ts";

/** A chunk as a connection brings it. */
interface Arrival {
  size: number;
  /** Whether the connection asks for its place. */
  asks: boolean;
  /** Whether one is lost that had got a place before it. */
  loses: boolean;
}

const arrival: fc.Arbitrary<Arrival> = fc.record({ size: fc.nat(50), asks: fc.boolean(), loses: fc.boolean() });

Deno.test("ChunkRoom has all chunks in their order, whichever of them were put in place, also behind lost ones", () => {
  const property = fc.property(
    fc.array(fc.array(arrival, { minLength: 1, maxLength: 6 }), { maxLength: 6 }),
    (pages) => {
      const room = new ChunkRoom(pages.flat().reduce((sum, { size }) => sum + size, 0));
      const all: Uint8Array[] = [];
      let value = 0;
      for (const page of pages) {
        const chunks = page.map(({ size, asks, loses }) => {
          if (loses) room.place(size)?.fill(255);
          const bytes = new Uint8Array(size).fill(++value);
          const chunk = asks ? room.place(size) : undefined;
          chunk?.set(bytes);
          all.push(bytes);
          return chunk ?? bytes;
        });
        room.add(chunks);
      }
      assertEquals(Buffer.from(room.data).equals(Buffer.concat(all)), true);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

Deno.test("ChunkRoom moves no chunk that is in its place, and nothing that was given a place", () => {
  const room = new ChunkRoom(100);
  const chunks = [room.place(40)!, room.place(60)!];
  assertEquals(room.place(1), undefined);
  room.add(chunks);
  assertStrictEquals(room.data.buffer, chunks[1].buffer);
  // An info may state any size.
  const large = new ChunkRoom(1e15);
  assertEquals([large.place(10), large.data.length], [undefined, 64 * 1024 * 1024]);
});
