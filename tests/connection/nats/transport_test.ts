import { assertEquals } from "@std/assert";
import type { ConnectionOptions, Server } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { OwnTransport } from "../../../src/connection/nats/_transport.ts";

/** A transport whose other side is the test. */
class Bytes extends OwnTransport {
  isEncrypted(): boolean {
    return false;
  }

  send(): void {}

  /** What the server sends. */
  receive(bytes: Uint8Array): void {
    this.take(bytes);
  }

  /** The server goes. */
  lose(error: Error): void {
    this.end(error);
  }

  protected open(_server: Server, _options: ConnectionOptions): Promise<void> {
    return Promise.resolve();
  }

  protected release(): void {}
}

const frame = Buffer.from(Array.from({ length: 500 }, (_, n) => `MSG subject ${n} 5\r\nHMSG \r\n`).join(""));

Deno.test("OwnTransport hands on all that came, in parts that begin with messages, before it is closed", async () => {
  const transport = new Bytes();
  transport.receive(frame);
  transport.receive(frame);
  const lost = new Error("gone");
  transport.lose(lost);
  let closed = false;
  const closing = transport.closed().then((error) => [closed = true, error]);
  const parts: Uint8Array[] = [];
  for await (const part of transport) {
    parts.push(part);
    assertEquals(closed, false);
  }
  assertEquals(await closing, [true, lost]);
  assertEquals(Buffer.concat(parts).equals(Buffer.concat([frame, frame])), true);
  assertEquals(parts.length, 4);
  for (const part of parts) assertEquals(/^H?MSG /.test(Buffer.from(part.subarray(0, 5)).toString()), true);
});

Deno.test("OwnTransport yields nothing more once it is closing", async () => {
  const transport = new Bytes();
  transport.receive(frame);
  const parts: Uint8Array[] = [];
  for await (const part of transport) {
    parts.push(part);
    await transport.close();
  }
  assertEquals([parts.length, await transport.closed()], [1, undefined]);
});

Deno.test("OwnTransport lets what one part leads to be done before it hands on the next", async () => {
  const transport = new Bytes();
  transport.receive(frame);
  const order: string[] = [];
  let left = 2;
  for await (const _ of transport) {
    order.push("part");
    // As many turns of promises as a call may take.
    (async () => {
      for (let turn = 0; turn < 50; turn++) await null;
      order.push("led to");
      if (--left === 0) transport.close();
    })();
  }
  assertEquals(order, ["part", "led to", "part", "led to"]);
});
