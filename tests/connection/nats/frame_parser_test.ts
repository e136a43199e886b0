import { assert, assertEquals, assertThrows } from "@std/assert";
import type { MsgArg } from "@nats-io/nats-core/internal";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { FrameParser } from "../../../src/connection/nats/_frame_parser.ts";

/** What a parser passed on. */
interface Passed {
  line: string;
  head?: string;
  data: Uint8Array;
}

/** Reads blocks as a socket does that has one buffer for all reads; what is passed on is looked at afterwards. */
function readBlocks(blocks: Uint8Array[], place: (size: number) => Uint8Array | undefined = () => undefined): Passed[] {
  const passed: Passed[] = [];
  const add = ({ subject, sid, reply, hdr, size }: MsgArg, data: Uint8Array, head?: Uint8Array) => {
    const line = [Buffer.from(subject), sid, reply ? Buffer.from(reply) : "-", hdr, size].join(" ");
    passed.push({ line, head: head && Buffer.from(head).toString("latin1"), data });
  };
  const parser = new FrameParser({
    small: (line, bytes) => add(line, bytes),
    large: (line, head, body) => add(line, body, head),
    other: (line) => passed.push({ line: Buffer.from(line).toString(), data: new Uint8Array() }),
    place: (_, size) => place(size),
  });
  const buffer = Buffer.alloc(Math.max(0, ...blocks.map(({ length }) => length)));
  for (const block of blocks) {
    buffer.fill(255);
    buffer.set(block);
    for (let at = 0; at < block.length;) at += parser.parse(buffer.subarray(at, block.length), 1_000);
  }
  buffer.fill(255);
  return passed;
}

/** A frame to be made: a message, or another line. */
type Spec = string | {
  sid: number;
  subject: string;
  reply: string;
  headers: string | null;
  /** Bytes of the body. */
  size: number;
  byte: number;
};

/** A frame, and what a parser is to pass on. */
interface Frame {
  bytes: Uint8Array;
  passed: Passed;
}

function frameOf(spec: Spec): Frame {
  if (typeof spec === "string") return { bytes: Buffer.from(spec), passed: { line: spec, data: new Uint8Array() } };
  const { sid, subject, reply, headers, size, byte } = spec;
  const text = "\r\nMSG a 1 3\r\n+OK\r\n";
  const body = new Uint8Array(size).map((_, at) => at % 50 < text.length ? text.charCodeAt(at % 50) : byte);
  const block = headers === null ? "" : `NATS/1.0\r\n${headers}\r\n\r\n`;
  const all = block.length + size;
  const words = [subject, sid, ...reply ? [reply] : [], ...headers === null ? [] : [block.length], all];
  const line = `${headers === null ? "MSG" : "HMSG"} ${words.join(" ")}\r\n`;
  const isLarge = size > 4_096;
  return {
    bytes: Buffer.concat([Buffer.from(line + block), body, Buffer.from("\r\n")]),
    passed: {
      line: [subject, sid, reply || "-", headers === null ? -1 : block.length, all].join(" "),
      head: isLarge ? block : undefined,
      data: isLarge ? body : Buffer.concat([Buffer.from(block), body]),
    },
  };
}

const word = fc.stringMatching(/^[!-~]{1,40}$/);
const message = fc.record({
  sid: fc.nat(),
  subject: word,
  reply: fc.oneof(fc.constant(""), word),
  headers: fc.option(fc.stringMatching(/^[ -~]{0,60}$/)),
  size: fc.oneof(fc.nat(40), fc.integer({ min: 4_000, max: 4_200 }), fc.nat(40_000)),
  byte: fc.nat(255),
});
const other = fc.constantFrom("PING\r\n", "PONG\r\n", "+OK\r\n", "-ERR 'Slow  Consumer'\r\n", 'INFO {"a": "b c"}\r\n');
const frame: fc.Arbitrary<Spec> = fc.oneof({ weight: 4, arbitrary: message }, other);

function assertPassed(passed: Passed[], frames: Frame[]): void {
  assertEquals(
    passed.map(({ line, head }) => ({ line, head })),
    frames.map(({ passed: { line, head } }) => ({ line, head })),
  );
  for (const [n, { passed: { data } }] of frames.entries()) {
    assert(Buffer.from(data).equals(passed[n].data), `message ${n}`);
  }
}

Deno.test("FrameParser passes on the same messages wherever the bytes are cut, in memory that nothing writes over", () => {
  const property = fc.property(fc.array(frame, { maxLength: 30 }), fc.array(fc.nat()), (specs, cuts) => {
    const frames = specs.map(frameOf);
    const bytes = Buffer.concat(frames.map(({ bytes }) => bytes));
    const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) =>
      a - b
    );
    const blocks = places.slice(1).map((end, n) => bytes.subarray(places[n], end));
    assertPassed(readBlocks(blocks), frames);
  });
  fc.assert(property, { numRuns: 200 });
});

Deno.test("FrameParser passes on the same messages when the bytes arrive one by one", () => {
  const property = fc.property(fc.array(frame, { maxLength: 3 }), (specs) => {
    const frames = specs.map(frameOf);
    const bytes = Buffer.concat(frames.map(({ bytes }) => bytes));
    assertPassed(readBlocks(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))), frames);
  });
  fc.assert(property, { numRuns: 10 });
});

Deno.test("FrameParser gives large messages memory of their own, and lets small ones share 16 KiB with others", () => {
  const body = (size: number): Spec => ({ sid: 1, subject: "a", reply: "b", headers: "N: 1", size, byte: 1 });
  const sizes = [...Array(400).fill(200), 4_096, 4_097, 100_000, 200];
  const bytes = Buffer.concat(sizes.map((size) => frameOf(body(size)).bytes));
  const passed = readBlocks([bytes.subarray(0, 150_000), bytes.subarray(150_000)]);
  assertEquals(passed.length, sizes.length);
  for (const [n, { data }] of passed.entries()) {
    const most = sizes[n] > 4_096 ? sizes[n] : 16_384;
    assert(data.buffer.byteLength <= most, `message ${n} keeps ${data.buffer.byteLength} bytes`);
  }
});

Deno.test("FrameParser puts the body of a large message where it is to stay, if that has the right size", () => {
  const frame = frameOf({ sid: 1, subject: "a", reply: "", headers: "N: 1", size: 10_000, byte: 3 });
  const blocks = [frame.bytes.subarray(0, 30), frame.bytes.subarray(30, 5_000), frame.bytes.subarray(5_000)];
  const room = new Uint8Array(20_000);
  const [message] = readBlocks(blocks, (size) => room.subarray(7, 7 + size));
  assertPassed([message], [frame]);
  assertEquals([message.data.buffer === room.buffer, message.data.byteOffset], [true, 7]);
  assertEquals([room.subarray(0, 7).some((byte) => byte > 0), room.subarray(10_007).some((byte) => byte > 0)], [
    false,
    false,
  ]);
  const [other] = readBlocks(blocks, (size) => room.subarray(0, size - 1));
  assertPassed([other], [frame]);
  assertEquals(other.data.buffer.byteLength, 10_000);
});

const MALFORMED: [what: string, text: string][] = [
  ["an unknown operation", "HELLO\r\n"],
  ["a line that begins with a space", " PING\r\n"],
  ["an operation that goes on", "MSGS a 1 1\r\nx\r\n"],
  ["no operation", "\r\n"],
  ["too few words", "MSG a 1\r\n"],
  ["too many words", "MSG a 1 b 2 3\r\n"],
  ["too few words with headers", "HMSG a 1 1\r\n"],
  ["far too many words", `HMSG ${"1 ".repeat(50)}\r\n`],
  ["a size that is none", "MSG a 1 -1\r\n"],
  ["a subscription that is none", "MSG a x 1\r\nx\r\n"],
  ["a size that no number holds", "MSG a 1 99999999999999999999\r\n"],
  ["a size that no message has", "MSG a 1 999999999\r\n"],
  ["headers that are longer than the message", "HMSG a 1 13 12\r\n"],
  ["a small message that is longer than its line says", "MSG a 1 1\r\nxy\r\n"],
  ["a small message behind which a line follows without an end", "MSG a 1 1\r\nxyzPING\r\n"],
  ["a large message that is longer than its line says", `MSG a 1 5000\r\n${"x".repeat(5_001)}\r\n`],
  ["a message that is shorter than its line says", "MSG a 1 3\r\nx\r\nPING\r\n"],
  ["a line without an end", `-ERR ${"x".repeat(1_100_000)}`],
];

for (const [what, text] of MALFORMED) {
  Deno.test(`FrameParser throws on ${what}, whole and byte by byte`, () => {
    const bytes = Buffer.from(text);
    assertThrows(() => readBlocks([bytes]), Error);
    const size = text.length > 10_000 ? 50_000 : 1;
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, n) => bytes.subarray(n * size, (n + 1) * size),
    );
    assertThrows(() => readBlocks(pieces), Error);
  });
}
