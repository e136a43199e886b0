import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { HeaderBlock } from "../../src/wire/headers.ts";
import { headerOf } from "../../src/wire/raw_headers.ts";
import { openSession } from "../wire/_open_session.ts";

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
