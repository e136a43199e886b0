import { assertEquals } from "@std/assert";
import type { ConnectionOptions, Server } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { OwnTransport } from "../../../src/connection/nats/_transport.ts";

/** Bytes of a frame of the test. */
const FRAME = 10;

/** A transport whose other side is the test. */
class Bytes extends OwnTransport {
  readonly #buffer = Buffer.alloc(100_000);
  /** What was read, a part at a time. */
  readonly parts: string[] = [];

  /** @param read Called with each part. */
  constructor(read: (part: string) => void = () => {}) {
    super();
    this.onBlock = (block, least) => {
      const end = Math.min(block.length, Math.ceil(least / FRAME) * FRAME);
      const part = Buffer.from(block.subarray(0, end)).toString();
      this.parts.push(part);
      read(part);
      return end;
    };
  }

  /** What the server sends, in memory that is used again. */
  receive(text: string): void {
    this.#buffer.fill("?");
    this.#buffer.write(text);
    this.take(this.#buffer.subarray(0, text.length));
    this.#buffer.fill("!");
  }

  /** The server goes. */
  lose(error: Error): void {
    this.end(error);
  }

  /** Reads to the end, as the NATS client does. */
  async readToEnd(): Promise<void> {
    for await (const block of this) throw new Error(`${block} was read twice`);
  }

  isEncrypted(): boolean {
    return false;
  }

  send(): void {}

  sendAll(): void {}

  protected open(_server: Server, _options: ConnectionOptions): Promise<void> {
    return Promise.resolve();
  }

  protected release(): void {}
}

function textOf(frames: number): string {
  return Array.from({ length: frames }, (_, n) => `${n}`.padEnd(FRAME, ".")).join("");
}

Deno.test("OwnTransport reads all that arrived, in its order and in parts of whole frames, before it is closed", async () => {
  const transport = new Bytes();
  const texts = [textOf(2_000), textOf(3), textOf(1_000)];
  // Before and after it is asked for.
  transport.receive(texts[0]);
  transport.receive(texts[1]);
  const reading = transport.readToEnd();
  transport.receive(texts[2]);
  const lost = new Error("gone");
  transport.lose(lost);
  assertEquals(await transport.closed(), lost);
  assertEquals(transport.parts.map(({ length }) => length), [10_000, 10_000, 30, 5_000, 5_000]);
  assertEquals(transport.parts.join(""), texts.join(""));
  await reading;
});

Deno.test("OwnTransport reads what arrives at once, and nothing once it is closing", async () => {
  const transport = new Bytes((part) => {
    if (part.startsWith("0")) transport.close();
  });
  const reading = transport.readToEnd();
  transport.receive("1........");
  assertEquals(transport.parts, ["1........"]);
  transport.receive(textOf(2_000));
  await reading;
  assertEquals([transport.parts.length, await transport.closed()], [2, undefined]);
});

for (const isAsked of [true, false]) {
  const when = isAsked ? "that arrives now" : "that arrived before";
  Deno.test(`OwnTransport lets what one part of a block leads to be done before it reads the next, of a block ${when}`, async () => {
    const order: string[] = [];
    let left = 2;
    const transport = new Bytes(() => {
      order.push("part");
      // As many turns of promises as a call may take.
      (async () => {
        for (let turn = 0; turn < 50; turn++) await null;
        order.push("led to");
        if (--left === 0) transport.close();
      })();
    });
    if (!isAsked) transport.receive(textOf(2_000));
    const reading = transport.readToEnd();
    if (isAsked) transport.receive(textOf(2_000));
    await reading;
    assertEquals(order, ["part", "led to", "part", "led to"]);
  });
}
