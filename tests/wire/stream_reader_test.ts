import { headers } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { StreamReader } from "../../src/wire/stream_reader.ts";
import { Proxy } from "../_support/proxy.ts";
import { callWithin } from "../../src/wire/call.ts";
import { openSession } from "../_support/open_session.ts";

/** A server with two streams of the same 60 messages, of which every third is on `<stream>.a` and each tenth is deleted. */
async function startFilled() {
  const server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  const api = (call: string, body: unknown) => nc.request(`$JS.API.${call}`, JSON.stringify(body), { timeout: 10_000 });
  for (const [name, allow_direct] of [["DIRECT", true], ["LEADER", false]]) {
    await api(`STREAM.CREATE.${name}`, { name, subjects: [`${name}.>`], allow_direct });
    for (let n = 1; n <= 60; n++) {
      await nc.request(`${name}.${n % 3 === 0 ? "a" : `b${n}`}`, `${n}`, { timeout: 10_000 });
    }
    for (let seq = 10; seq <= 60; seq += 10) await api(`STREAM.MSG.DELETE.${name}`, { seq });
  }
  await nc.close();
  return server;
}

for (const version of [undefined, "2.10.29"]) {
  const kind = version === undefined ? "a server with batched gets" : "an old server";
  Deno.test(`StreamReader reads the same of ${kind}, by direct get and from the leader`, async () => {
    await using server = await startFilled();
    await using proxy = new Proxy(server.url, { version });
    await using open = await openSession({ servers: proxy.url });
    const { session } = open;
    for (const stream of ["DIRECT", "LEADER"]) {
      const page = async (query: { seq: number; batch: number }, sure = false) => {
        const arrived: unknown[] = [];
        const messages = await new StreamReader(stream).page(callWithin(session, 5_000), {
          next_by_subj: `${stream}.a`,
          arrived: (message) => arrived.push(message),
          ...query,
        }, sure);
        assertEquals(arrived, messages);
        return messages.map(({ sequence, subject }) => subject === `${stream}.a` ? sequence : subject);
      };
      for (const sure of [false, true]) {
        assertEquals(await page({ seq: 4, batch: 10 }, sure), [6, 9, 12, 15, 18, 21, 24, 27, 33, 36]);
        assertEquals(await page({ seq: 54, batch: 10 }, sure), [54, 57]);
        assertEquals(await page({ seq: 58, batch: 10 }, sure), []);
        const reader = new StreamReader(stream);
        const newest = await reader.last(callWithin(session, 5_000), `${stream}.a`, sure);
        assertEquals([newest?.sequence, newest?.subject], [57, `${stream}.a`]);
        assertEquals(await reader.last(callWithin(session, 5_000), `${stream}.none`, sure), null);
      }
      const subjects = ["b1", "a", "none", "b2", "b10"].map((end) => `${stream}.${end}`);
      const found = await new StreamReader(stream).many(callWithin(session, 5_000), subjects);
      assertEquals(found.map(({ sequence }) => sequence).sort((a, b) => a - b), [1, 2, 57]);
    }
  });

  Deno.test(`StreamReader reads a stream that is not there as empty, of ${kind}`, async () => {
    await using server = await startNatsServer();
    await using proxy = new Proxy(server.url, { version });
    await using open = await openSession({ servers: proxy.url });
    const reader = new StreamReader("NONE");
    for (const sure of [false, true]) {
      assertEquals(
        await reader.page(callWithin(open.session, 5_000), { seq: 1, next_by_subj: ">", batch: 10 }, sure),
        [],
      );
      assertEquals(await reader.last(callWithin(open.session, 5_000), "a", sure), null);
    }
    assertEquals(await reader.many(callWithin(open.session, 5_000), ["a", "b"]), []);
  });
}

Deno.test("StreamReader.many asks for the rest where a server of 2.11 or 2.12 leaves off, whatever it says", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  // How many messages come, how many more there are by the last one, and the end: one of many has just gone; one too few counted; all is there.
  const answers = [
    { count: 2, more: 2, end: headers(404, "Message Not Found") },
    { count: 1, more: 1, end: headers(204, "EOB") },
    { count: 1, more: 0, end: headers(204, "EOB") },
  ];
  const asked: string[][] = [];
  nc.subscribe("$JS.API.DIRECT.GET.OLD", {
    callback: (_error, message) => {
      const subjects = message.json<{ multi_last: string[] }>().multi_last;
      const { count, more, end } = answers[asked.push(subjects) - 1];
      for (const subject of subjects.slice(0, count)) {
        const place = headers();
        place.append("Nats-Subject", subject);
        place.append("Nats-Sequence", subject.slice(1));
        place.append("Nats-Num-Pending", `${more}`);
        message.respond("value", { headers: place });
      }
      end.append("Nats-Num-Pending", `${Math.max(0, more - 1)}`);
      message.respond("", { headers: end });
    },
  });
  await nc.flush();
  await using open = await openSession({ servers: server.url });
  const found = await new StreamReader("OLD").many(callWithin(open.session, 5_000), ["s1", "s2", "s3", "s4"]);
  assertEquals(found.map(({ sequence }) => sequence), [1, 2, 3, 4]);
  assertEquals(asked, [["s1", "s2", "s3", "s4"], ["s3", "s4"], ["s4"]]);
  await nc.close();
});

Deno.test("StreamReader.last asks again after a 408, which does not mean that there is no message", async () => {
  await using server = await startNatsServer({ jetstream: false });
  const nc = await connect({ servers: server.url });
  let asked = 0;
  nc.subscribe("$JS.API.DIRECT.GET.S.a", {
    callback: (_, message) => {
      const status = ++asked === 1 ? headers(408, "Request Timeout") : headers();
      if (asked > 1) status.set("Nats-Sequence", "7");
      message.respond(asked > 1 ? "value" : "", { headers: status });
    },
  });
  await nc.flush();
  await using open = await openSession({ servers: server.url });
  const reader = new StreamReader("S");
  const found = await open.connection.attempt(
    (call) => reader.last(call, "a"),
    { timeout: 20_000 },
  );
  assertEquals([found?.sequence, new TextDecoder().decode(found?.data), asked], [7, "value", 2]);
  await nc.close();
});
