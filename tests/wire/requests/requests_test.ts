import { setImmediate } from "node:timers";
import { assert, assertEquals, assertLess, assertNotEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Unavailable } from "../../../src/connection/unavailable.ts";
import { JetStreamStoreError } from "../../../src/errors.ts";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { HeaderBlock } from "../../../src/connection/nats/headers.ts";
import { headerOf } from "../../../src/connection/nats/raw_headers.ts";
import { Buffer } from "node:buffer";
import type { Session } from "../../../src/wire/session.ts";
import { suspend } from "../../_support/suspend.ts";
import { openSession, within } from "../../_support/open_session.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const fail = (error: Error) => {
  throw error;
};

Deno.test("Requests.request gives the reply that belongs to it, whatever the order of the replies", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  await using service = await openSession({ servers: server.url });
  const asked: { reply: string; text: string }[] = [];
  service.session.subscribe("ask", ({ reply, data }) => {
    asked.push({ reply: reply!, text: new TextDecoder().decode(data) });
    if (asked.length < 100) return;
    for (const { reply, text } of asked.reverse()) service.session.send(reply, `re: ${text}`);
  }, fail);
  // The subscription is on its way; the service's next answer comes behind it.
  await assertRejects(() => service.session.requests.request("none", "", within(30_000)), Unavailable);
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, i) => client.session.requests.request("ask", `${i}`, within(30_000))),
  );
  assertEquals(replies.map((reply) => reply.string()), replies.map((_, i) => `re: ${i}`));
  assertEquals(client.session.requests.size, 0);
});

Deno.test("Requests.request takes the answer that came before its deadline, though the process was busy until after it", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { requests } = client.session;
  const asked = Array.from({ length: 100 }, () => requests.request("$JS.API.INFO", "", within(1_000)));
  const answered = Promise.all(asked);
  await new Promise((resolve) => setImmediate(resolve));
  assertNotEquals(requests.size, 0);
  // Long enough for a server that has to share the machine with this loop.
  for (const end = within(3_000); performance.now() < end;);
  assertEquals((await answered).length, 100);
});

Deno.test("Requests.request sends headers and gives those of the reply", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  session.subscribe("echo", (message) => {
    session.send(message.reply!, "", { headers: new HeaderBlock({ Back: headerOf(message, "There") ?? "" }) });
  }, fail);
  const reply = await session.requests.request("echo", "", within(30_000), new HeaderBlock({ There: "ä: b" }));
  assertEquals(headerOf(reply, "Back"), "ä: b");
  assertEquals(headerOf(reply, "back"), undefined);
});

Deno.test("Requests.request fails at its deadline, at most 100 ms later, when the server does not answer", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url, pingInterval: 600_000 });
  await suspend(server);
  const lateness = async (ms: number): Promise<number> => {
    const deadline = performance.now() + ms;
    const error = await assertRejects(() => client.session.requests.request("x", "", deadline), Unavailable);
    assertEquals(error.reason, "timeout");
    return performance.now() - deadline;
  };
  for (const ms of [10, 60, 130, 300]) {
    const rounds: number[][] = [];
    const least = () => rounds[0].map((_, call) => Math.min(...rounds.map((round) => round[call])));
    // A busy machine is late with everything, but not each time.
    do {
      rounds.push(await Promise.all([lateness(ms), lateness(ms + 7), lateness(ms)]));
    } while (rounds.length < 5 || rounds.length < 50 && least().some((late) => late >= 100));
    assert(rounds.flat().every((late) => late >= 0), `late by ${rounds} ms`);
    assert(least().every((late) => late < 100), `late by ${rounds} ms`);
  }
  assertEquals(client.session.requests.size, 0);
  server.resume();
});

Deno.test("Requests drops late replies, and replies without a request", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const kept: string[] = [];
  session.subscribe("slow", ({ reply }) => void kept.push(reply!), fail);
  await assertRejects(() => session.requests.request("slow", "", within(20)), Unavailable);
  await waitUntil(() => kept.length === 1);
  session.send(kept[0], "too late");
  session.send(kept[0].replace(/\d+$/, "999"), "never asked");
  session.send(kept[0].replace(/\d+$/, "x"), "no number");
  session.subscribe("quick", ({ reply }) => session.send(reply!, "in time"), fail);
  assertEquals((await session.requests.request("quick", "", within(10_000))).string(), "in time");
});

/** The reply subjects of three calls: one that is answered, one that is not, and one after these. */
async function replySubjects(session: Session): Promise<string[]> {
  const subjects: string[] = [];
  session.subscribe("answers", ({ reply }) => {
    subjects.push(reply!);
    session.send(reply!, "");
  }, fail);
  session.subscribe("silent", ({ reply }) => void subjects.push(reply!), fail);
  await session.requests.request("answers", "", within(10_000));
  await assertRejects(() => session.requests.request("silent", "", within(20)), Unavailable);
  await session.requests.request("answers", "", within(10_000));
  await session.requests.request("answers", "", within(10_000));
  return subjects;
}

Deno.test("Requests uses the place of an answered call again, and never that of an unanswered one", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const [answered, silent, next, last] = await replySubjects(client.session);
  // The unanswered call has taken the place of the answered one.
  assertEquals(silent, answered);
  assertNotEquals(next, silent);
  assertEquals(last, next);
});

Deno.test("Requests uses no place again in a cluster, where the next leader may answer once more", async () => {
  await using cluster = await startNatsCluster();
  await using client = await openSession({ servers: cluster.urls[0] });
  const subjects = await replySubjects(client.session);
  assertEquals(new Set(subjects).size, 4);
});

Deno.test("Requests uses no place again over a server whose streams are elsewhere", async () => {
  await using server = await startNatsServer({ jetstream: false });
  await using client = await openSession({ servers: server.url });
  const subjects = await replySubjects(client.session);
  assertEquals(new Set(subjects).size, 4);
});

Deno.test("Requests.request fails at once without responders", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const start = performance.now();
  const error = await assertRejects(() => client.session.requests.request("nobody", "", within(5_000)), Unavailable);
  assertEquals(error.reason, "no_responders");
  await assertRejects(
    () => client.session.requests.collect("nobody", "", within(5_000), () => true),
    Unavailable,
  );
  assertLess(performance.now() - start, 4_000);
});

Deno.test("Requests.collect takes replies until the last one, or fails", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  session.subscribe("many", ({ reply }) => {
    for (const text of ["a", "b", "c", "end", "after"]) session.send(reply!, text);
  }, fail);
  const texts: string[] = [];
  await session.requests.collect("many", "", within(30_000), (reply) => texts.push(reply.string()) === 4);
  assertEquals(texts, ["a", "b", "c", "end"]);
  const error = new Error("cannot be taken");
  assertStrictEquals(
    await assertRejects(() => session.requests.collect("many", "", within(30_000), () => fail(error))),
    error,
  );
  const endless = await assertRejects(
    () => session.requests.collect("many", "", within(50), () => false),
    Unavailable,
  );
  assertEquals(endless.reason, "timeout");
  assertEquals(session.requests.size, 0);
});

Deno.test("Requests.collect lets large replies stay where it is told, and asks for no place once it has ended", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const large = new Uint8Array(300_000).map((_, at) => at % 251);
  let again = () => {};
  session.subscribe("many", ({ reply }) => {
    for (const bytes of [large, new Uint8Array(10), large.subarray(1)]) session.send(reply!, bytes);
    again = () => session.send(reply!, large);
  }, fail);
  // Other subscriptions have subjects that end with the same numbers.
  for (let n = 0; n < 5; n++) session.subscribe(`other.${n}`, () => {}, fail);
  const room = new Uint8Array(600_000);
  const sizes: number[] = [];
  const place = (size: number) => {
    const start = sizes.reduce((sum, size) => sum + size, 0);
    sizes.push(size);
    return room.subarray(start, start + size);
  };
  const replies: Uint8Array[] = [];
  await session.requests.collect("many", "", within(10_000), ({ data }) => {
    for (let n = 0; n < 5; n++) session.send(`other.${n}`, large);
    return replies.push(data) === 3;
  }, { place });
  again();
  await session.requests.request("$JS.API.INFO", "", within(10_000));
  assertEquals(sizes, [large.length, large.length - 1]);
  assertEquals(replies.map(({ buffer }) => buffer === room.buffer), [true, false, true]);
  assertEquals(Buffer.concat([large, large.subarray(1), Buffer.from([0])]).equals(room), true);
});

Deno.test("Requests settles all that is pending at once when the connection breaks", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  await suspend(server);
  const start = performance.now();
  const pending = Array.from({ length: 1_000 }, () => client.session.requests.request("x", "", within(60_000)));
  pending.push(client.session.requests.collect("x", "", within(60_000), () => true) as Promise<never>);
  const [ends] = await Promise.all([Promise.allSettled(pending), server.kill()]);
  assertLess(performance.now() - start, 5_000);
  assertEquals(ends.filter((end) => end.status === "rejected" && end.reason.reason === "lost").length, 1_001);
  const error = await assertRejects(() => client.session.requests.request("x", "", within(60_000)), Unavailable);
  assertEquals(error.reason, "lost");
});

Deno.test("Requests receives under the inbox prefix that the user may subscribe to", async () => {
  const permissions = `{ subscribe: ["mine.>", "a.*"], publish: [">"] }`;
  await using server = await startNatsServer({
    config: `authorization { users: [{ user: "ann", password: "x", permissions: ${permissions} }] }`,
  });
  const options = { servers: server.url, user: "ann", password: "x" };
  await using client = await openSession({ ...options, inboxPrefix: "mine.box" });
  const { session } = client;
  let seen = "";
  session.subscribe("a.b", ({ reply }) => {
    seen = reply!;
    session.send(reply!, "yes");
  }, fail);
  assertEquals((await session.requests.request("a.b", "", within(30_000))).string(), "yes");
  assert(seen.startsWith("mine.box."), seen);
  assert(session.inbox().startsWith("mine.box."));

  await using without = await openSession(options);
  const start = performance.now();
  for (let call = 0; call < 2; call++) {
    const error = await assertRejects(
      () => without.session.requests.request("$JS.API.INFO", "", within(5_000)),
      JetStreamStoreError,
      `does not allow this user to subscribe to "_INBOX.`,
    );
    assertEquals(error.code, "permission");
  }
  assertLess(performance.now() - start, 4_000);
});

Deno.test("Requests fails the calls whose subject is denied, at once, and no others", async () => {
  const permissions = `{ publish: { deny: ["secret.>"] } }`;
  await using server = await startNatsServer({
    config: `authorization { users: [{ user: "ann", password: "x", permissions: ${permissions} }] }`,
  });
  await using client = await openSession({ servers: server.url, user: "ann", password: "x" });
  const { session } = client;
  session.subscribe("open", ({ reply }) => session.send(reply!, "yes"), fail);
  session.subscribe("secret.c", () => {}, fail);
  const start = performance.now();
  const [a, b, open] = await Promise.allSettled(
    ["secret.a", "secret.b", "open"].map((subject) => session.requests.request(subject, "", within(5_000))),
  );
  assertLess(performance.now() - start, 4_000);
  assert(a.status === "rejected" && b.status === "rejected" && open.status === "fulfilled");
  assertEquals([a.reason.code, b.reason.code], ["permission", "permission"]);
  assertEquals(a.reason.message, `The server does not allow this user to publish to "secret.a"`);
});

Deno.test("Requests.request throws a RangeError for a message above the server's max_payload, and others go on", async () => {
  await using server = await startNatsServer({ config: "max_payload: 2000" });
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  session.subscribe("a", ({ reply, data }) => session.send(reply!, `${data.length}`), fail);
  const headers = new HeaderBlock({ A: "b".repeat(100) });
  const send = (size: number, block?: typeof headers) =>
    session.requests.request("a", new Uint8Array(size), within(30_000), block);
  assertEquals((await send(2_000)).string(), "2000");
  assertEquals((await send(2_000 - headers.length, headers)).string(), `${2_000 - headers.length}`);
  await assertRejects(
    () => send(2_001),
    RangeError,
    "Cannot send the message as it must be ≤ 2000 bytes (the server's max_payload): it has 2001",
  );
  await assertRejects(() => send(2_001 - headers.length, headers), RangeError, "it has 2001");
  await assertRejects(() => session.requests.request("a", "ä".repeat(1_001), within(30_000)), RangeError, "2002");
  assertEquals((await send(1)).string(), "1");
  assertEquals(session.requests.size, 0);
});
