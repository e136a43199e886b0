import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { HeaderBlock } from "../../../src/connection/nats/headers.ts";
import { headerOf } from "../../../src/connection/nats/raw_headers.ts";
import { openSession } from "../../_support/open_session.ts";

Deno.test("A connection passes on all of many messages whole, whatever is in them", async () => {
  await using server = await startNatsServer();
  await using sender = await openSession({ servers: server.url });
  await using receiver = await openSession({ servers: server.url });
  const texts = Array.from({ length: 5_000 }, (_, n) => `${n} ${"\r\nHMSG a 1 2 3\r\nMSG ".repeat(n % 40)}`);
  const came: [text: string, header: string | undefined][] = [];
  const all = Promise.withResolvers<void>();
  receiver.session.subscribe("many", (message) => {
    if (came.push([message.string(), headerOf(message, "N")]) === texts.length) all.resolve();
  }, all.reject);
  // The server has the subscription when it has answered this.
  await receiver.session.requests.request("$JS.API.INFO", "", performance.now() + 10_000);
  for (const [n, text] of texts.entries()) {
    sender.session.send("many", text, n % 3 === 0 ? { headers: new HeaderBlock({ N: `${n}` }) } : {});
  }
  await all.promise;
  assertEquals(came, texts.map((text, n) => [text, n % 3 === 0 ? `${n}` : undefined]));
});

Deno.test("A connection passes on large messages byte by byte, wherever they are cut on their way", async () => {
  await using server = await startNatsServer({ config: "max_payload: 8MB" });
  await using sender = await openSession({ servers: server.url });
  await using receiver = await openSession({ servers: server.url });
  const sizes = [0, 1, 65_535, 65_536, 65_537, 200_000, 1, 3_000_000, 131_072, 7_999_000, 2];
  const bodies = sizes.map((size, n) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + n + (i >> 9)) & 255));
  const came: { data: Uint8Array; header: string | undefined }[] = [];
  const all = Promise.withResolvers<void>();
  receiver.session.subscribe("large", (message) => {
    if (came.push({ data: message.data, header: headerOf(message, "N") }) === bodies.length) all.resolve();
  }, all.reject);
  await receiver.session.requests.request("$JS.API.INFO", "", performance.now() + 10_000);
  for (const [n, body] of bodies.entries()) {
    sender.session.send("large", body, n % 2 === 0 ? { headers: new HeaderBlock({ N: `${n}` }) } : {});
  }
  await all.promise;
  for (const [n, body] of bodies.entries()) {
    assertEquals(came[n].header, n % 2 === 0 ? `${n}` : undefined);
    assert(Buffer.from(body).equals(came[n].data), `message ${n} of ${body.length} bytes came as it was sent`);
  }
});
