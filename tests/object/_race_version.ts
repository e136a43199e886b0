import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";

/** Sizes of one chunk and of many, as they come in turn. */
const SIZES = [10, 1_000, 200_000, 30, 60_000, 2_000, 300_000, 0];

/** The bytes of a writer's n-th version of an object: they tell whose they are, and every other byte follows from that. */
export function raceVersion(writer: string, n: number): Uint8Array<ArrayBuffer> {
  const title = new TextEncoder().encode(`${writer} ${n} `);
  const data = new Uint8Array(title.length + SIZES[n % SIZES.length]).fill(n % 251);
  data.set(title);
  return data;
}

/** Checks that bytes are a whole version; returns whose. */
export function assertRaceVersion(data: Uint8Array): { writer: string; n: number } {
  const [, writer, number] = /^(\S+) (\d+) /.exec(new TextDecoder().decode(data.subarray(0, 50))) ?? [];
  const expected = raceVersion(writer, Number(number));
  assertEquals(data.length, expected.length);
  assertEquals(Buffer.compare(data, expected), 0, `Version ${number} of ${writer} is mixed`);
  return { writer, n: Number(number) };
}
