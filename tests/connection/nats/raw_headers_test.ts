import { assertEquals } from "@std/assert";
import { connect as connectVersion2 } from "nats";
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../../mod.ts";
import { type NatsServer, startNatsServer } from "../../../src/testing/mod.ts";
import {
  hasOnlyServerHeaders,
  headerOf,
  lastHeaderOf,
  parseHeaderBlock,
  statusOf,
} from "../../../src/connection/nats/raw_headers.ts";
import { openSession, within } from "../../_support/open_session.ts";
import { CollectedLog } from "../../_support/collected_log.ts";
import { waitUntil } from "../../_support/wait_until.ts";

/** Publishes as no client would. */
async function publishRaw(server: NatsServer, subject: string, block: string, body: string): Promise<void> {
  using socket = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const headers = `${block}\r\n\r\n`;
  const lines = [
    `CONNECT {"headers":true,"verbose":false}`,
    `HPUB ${subject} ${headers.length} ${headers.length + body.length}`,
    `${headers}${body}`,
    `PING\r\n`,
  ];
  await socket.write(new TextEncoder().encode(lines.join("\r\n")));
  const answer = new Uint8Array(65_536);
  let text = "";
  while (!text.includes("PONG")) text += new TextDecoder().decode(answer.subarray(0, (await socket.read(answer))!));
}

type Subscriber = Pick<NatsConnection, "subscribe" | "publish" | "flush" | "close">;

const CLIENTS: [string, (servers: string) => Promise<Subscriber>][] = [
  ["version 3", (servers) => connect({ servers })],
  ["version 2", (servers) => connectVersion2({ servers }) as unknown as Promise<Subscriber>],
];

for (const [version, open] of CLIENTS) {
  Deno.test(`statusOf and headerOf read what comes over a connection of ${version} of the client`, async () => {
    await using server = await startNatsServer();
    const nc = await open(server.url);
    const messages: Msg[] = [];
    const all = Promise.withResolvers<void>();
    nc.subscribe("a.>", {
      callback: (_error, message) => {
        if (messages.push(message) === 6) all.resolve();
      },
    });
    await nc.flush();
    await publishRaw(server, "a.none", "NATS/1.0", "body");
    await publishRaw(server, "a.some", "NATS/1.0\r\nA:1\r\nA: 2\r\nB:  x: y \r\nAA: 3\r\nEmpty:", "body");
    await publishRaw(server, "a.status", "NATS/1.0 503", "");
    await publishRaw(server, "a.described", "NATS/1.0 409 Exceeded This: That\r\nC: d", "");
    await publishRaw(server, "a.body", "NATS/1.0 503 Not", "a status has no body");
    await publishRaw(server, "a.odd", "NATS/1.0\r\nan odd(name): x\r\nno colon\r\nA: 4", "");
    await all.promise;
    await nc.close();
    const [none, some, status, described, body, odd] = messages;
    assertEquals(messages.map(statusOf), [
      { code: 0, description: "" },
      { code: 0, description: "" },
      { code: 503, description: "" },
      { code: 409, description: "Exceeded This: That" },
      { code: 0, description: "" },
      { code: 0, description: "" },
    ]);
    assertEquals(headerOf(none, "A"), undefined);
    assertEquals(["A", "B", "AA", "Empty", "a", "1"].map((name) => headerOf(some, name)), [
      "1",
      "x: y",
      "3",
      undefined,
      undefined,
      undefined,
    ]);
    assertEquals(headerOf(described, "C"), "d");
    assertEquals(headerOf(status, "C") ?? headerOf(body, "C"), undefined);
    assertEquals([headerOf(odd, "an odd(name)"), headerOf(odd, "A")], ["x", "4"]);
  });
}

for (const [version, open] of CLIENTS) {
  Deno.test(`hasOnlyServerHeaders tells the server's headers from others over a connection of ${version} of the client`, async () => {
    await using server = await startNatsServer();
    const nc = await open(server.url);
    const blocks: [block: string, expected: boolean][] = [
      ["NATS/1.0", true],
      ["NATS/1.0\r\nNats-Msg-Id: a\r\nNats-Scheduler: b", true],
      ["NATS/1.0\r\nNats-Msg-Id: a\r\nJob-Key: b", false],
      ["NATS/1.0\r\nJob-Key: b\r\nNats-Msg-Id: a", false],
      ["NATS/1.0\r\nNats: a", false],
      ["NATS/1.0\r\nnats-Msg-Id: a", false],
    ];
    const messages: Msg[] = [];
    const all = Promise.withResolvers<void>();
    nc.subscribe("a", {
      callback: (_error, message) => {
        if (messages.push(message) === blocks.length + 1) all.resolve();
      },
    });
    await nc.flush();
    for (const [block] of blocks) await publishRaw(server, "a", block, "Nats-\r\nbody");
    nc.publish("a", "x\r\nwithout headers");
    await all.promise;
    await nc.close();
    assertEquals(messages.map(hasOnlyServerHeaders), [...blocks.map(([, expected]) => expected), true]);
  });
}

Deno.test("statusOf and headerOf read a large message of our own connection, whose body has its own memory", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const received = Promise.withResolvers<Msg>();
  session.subscribe("a.large", received.resolve, received.reject);
  await session.requests.request("$JS.API.INFO", "", within(10_000));
  await publishRaw(server, "a.large", "NATS/1.0 503 Not\r\nA: 1\r\nA: 2", "x".repeat(100_000));
  const message = await received.promise;
  assertEquals(statusOf(message), { code: 0, description: "" });
  assertEquals([headerOf(message, "A"), lastHeaderOf(message, "A")], ["1", "2"]);
  assertEquals([message.headers?.get("A"), message.data.length, message.string().length], ["1", 100_000, 100_000]);
});

Deno.test("parseHeaderBlock gives the headers in their order, and skips what is none", () => {
  assertEquals(parseHeaderBlock(""), []);
  assertEquals(parseHeaderBlock("NATS/1.0\r\n\r\n"), []);
  assertEquals(parseHeaderBlock("NATS/1.0 100 Idle\r\nB: 1\r\nA:2\r\nB: x: y\r\nnone\r\nC: \r\n\r\n"), [
    ["B", "1"],
    ["A", "2"],
    ["B", "x: y"],
    ["C", ""],
  ]);
});

Deno.test("a message whose headers the client would refuse to read does not cut the connection", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: server.url, logger });
  const bucket = stores.kvBucket("b");
  await bucket.put("k", "v");
  await publishRaw(server, "$KV.b.empty", "NATS/1.0\r\nan odd(name): x", "");
  await publishRaw(server, "$KV.b.full", "NATS/1.0\r\nan odd(name): x", "value");
  // Both are stored in their order, behind the PONG.
  await waitUntil(async () => await bucket.get("full") !== null);
  assertEquals((await bucket.get("empty"))?.text(), "");
  assertEquals((await bucket.get("full"))?.text(), "value");
  assertEquals([...(await bucket.getMany(["empty", "full", "k"]))!.keys()].sort(), ["empty", "full", "k"]);
  assertEquals((await Array.fromAsync(bucket.keys())).sort(), ["empty", "full", "k"]);
  assertEquals((await Array.fromAsync(bucket.history("empty"))).map((entry) => entry.text()), [""]);
  assertEquals(logger.lines.length, 1);
});
