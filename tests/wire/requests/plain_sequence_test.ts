import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { plainSequence } from "../../../src/wire/requests/plain_sequence.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { openSession, within } from "../../_support/open_session.ts";

const sequenceOf = (text: string) => plainSequence(Buffer.from(text));

Deno.test("plainSequence gives the sequence of an acknowledgement that says nothing else", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9_-]+$/), fc.nat(Number.MAX_SAFE_INTEGER), (stream, sequence) => {
      assertEquals(sequenceOf(`{"stream":"${stream}","seq":${sequence}}`), sequence);
      assertEquals(sequenceOf(`{"stream":"${stream}", "seq":${sequence}}`), sequence);
    }),
  );
});

Deno.test("plainSequence gives 0 for all that says something else, or is cut or damaged", () => {
  const usual = '{"stream":"KV_a","seq":12}';
  const others = [
    '{"stream":"KV_a","seq":12,"duplicate": true}',
    '{"stream":"KV_a", "domain":"hub", "seq":12}',
    '{"stream":"KV_a","seq":12,"batch":"b","count":3}',
    '{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 12"},"stream":"KV_a","seq":0}',
    '{"stream":"KV_a", "seq":}',
    '{"stream":"KV_a", "seq":-12}',
    '{"stream":"KV_a", "seq":1.5}',
    '{"stream":"KV_a", "seq":1e3}',
    '{"stream":"a\\","seq":12}',
    '{"stream":"KV_a",  "seq":12}',
    `${usual} `,
    ` ${usual}`,
    `${usual}${usual}`,
    "null",
    ...Array.from(usual, (_, length) => usual.slice(0, length)),
  ];
  for (const other of others) assertEquals(sequenceOf(other), 0, other);
});

Deno.test("plainSequence reads what a server answers a publish", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { requests } = client.session;
  const config = JSON.stringify({ name: "plain", subjects: ["plain"], storage: "memory" });
  await requests.request("$JS.API.STREAM.CREATE.plain", config, within(10_000));
  for (const sequence of [1, 2]) {
    const { data } = await requests.request("plain", "x", within(10_000));
    assertEquals(plainSequence(data), sequence);
  }
});
