import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { Outgoing } from "../../../src/connection/nats/_outgoing.ts";

Deno.test("Outgoing gives what was added, in order, and never writes over what it has given", () => {
  const size = fc.oneof(fc.nat(300), fc.nat(100_000));
  const step = fc.record({ command: fc.nat(80), sizes: fc.array(size, { maxLength: 4 }), drains: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const outgoing = new Outgoing();
      const added: Uint8Array[] = [];
      const given: Uint8Array[] = [];
      for (const [index, { command, sizes, drains }] of steps.entries()) {
        const text = (index % 3 === 0 ? "ü€😀" : "A").repeat(command);
        const parts = sizes.map((size) => new Uint8Array(size).fill(index));
        outgoing.add(index % 2 === 0 ? text : Buffer.from(text), ...parts);
        added.push(Buffer.from(text), ...parts);
        if (drains) given.push(...outgoing.drain());
      }
      assertEquals(outgoing.size() > 0, Buffer.concat(given).length < Buffer.concat(added).length);
      assertEquals(Buffer.concat([...given, ...outgoing.drain()]).equals(Buffer.concat(added)), true);
      assertEquals(outgoing.size(), 0);
    }),
    { numRuns: 50 },
  );
});

Deno.test("Outgoing.add adds a frame whole or not at all", () => {
  const outgoing = new Outgoing();
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  outgoing.add("PING\r\n");
  assertThrows(() => outgoing.add("PUB a 8\r\n", detached, "\r\n"), TypeError);
  assertThrows(() => outgoing.add("x".repeat(100_000), detached), TypeError);
  const shrunk = new Uint8Array(new ArrayBuffer(8, { maxByteLength: 8 }), 4);
  shrunk.buffer.resize(2);
  assertThrows(() => outgoing.add("PUB a 100000\r\n", new Uint8Array(100_000), shrunk), TypeError);
  outgoing.add("PONG\r\n");
  assertEquals(Buffer.concat(outgoing.drain()).toString(), "PING\r\nPONG\r\n");
});

Deno.test("Outgoing copies no large bytes", () => {
  const outgoing = new Outgoing();
  const large = new Uint8Array(100_000);
  outgoing.add("PUB a 100000\r\n", large, "\r\n");
  assertEquals([outgoing.size(), outgoing.isFull()], [100_016, false]);
  const parts = outgoing.drain();
  assertEquals(parts.map(({ length }) => length), [14, 100_000, 2]);
  assertStrictEquals(parts[1], large);
});

Deno.test("Outgoing.isFull tells when what was added is to be sent: after 128 KiB of small parts, or 1 MiB", () => {
  const outgoing = new Outgoing();
  const large = new Uint8Array(130_000);
  const added = (part: string | Uint8Array) => {
    let count = 0;
    for (; !outgoing.isFull(); count++) outgoing.add(part);
    outgoing.drain();
    assertEquals(outgoing.isFull(), false);
    return count;
  };
  assertEquals([added("x".repeat(1_000)), added(new Uint8Array(1_000)), added(large)], [132, 132, 9]);
});
