import { assert, assertEquals, assertRejects } from "@std/assert";
import { Unavailable } from "../../../src/connection/unavailable.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { HeaderBlock } from "../../../src/connection/nats/headers.ts";
import { callWithin } from "../../../src/wire/call.ts";
import { mayBeStored, publish } from "../../../src/wire/publish.ts";
import type { Session } from "../../../src/wire/session.ts";
import { Proxy } from "../../_support/proxy.ts";
import { openSession, within } from "../../_support/open_session.ts";

const fail = (error: Error) => {
  throw error;
};

/** Collects the reply subjects of what is asked on a subject. */
function asked(session: Session, subject: string, each: (replies: string[]) => void): string[] {
  const replies: string[] = [];
  session.subscribe(subject, ({ reply }) => {
    replies.push(reply!);
    each(replies);
  }, fail);
  return replies;
}

Deno.test("Requests.request sends an unanswered request again, and the answer to its first sending counts", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const replies = asked(session, "slow", (replies) => replies.length === 2 && session.send(replies[0], "the first"));
  const reply = await session.requests.request("slow", "", within(30_000), undefined, true);
  assertEquals(reply.string(), "the first");
  assert(replies.length >= 2);
  // The second answer is nobody's.
  session.send(replies[1], "the second");
  session.subscribe("quick", ({ reply }) => session.send(reply!, "quick"), fail);
  assertEquals((await session.requests.request("quick", "", within(10_000))).string(), "quick");
});

Deno.test("Requests.request sends nothing again that may not be repeated, however late the answer", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const replies = asked(session, "slow", (replies) => setTimeout(() => session.send(replies[0], "late"), 1_500));
  assertEquals((await session.requests.request("slow", "", within(30_000))).string(), "late");
  assertEquals(replies.length, 1);
});

Deno.test("Requests.request sends an unanswered request at most three times in five seconds", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const replies = asked(session, "silent", () => {});
  await assertRejects(() => session.requests.request("silent", "", within(5_000), undefined, true), Unavailable);
  assert(replies.length === 2 || replies.length === 3, `${replies.length}`);
  assertEquals(session.requests.size, 0);
});

Deno.test("publish stores a message once whose acknowledgement was lost, and the call notes that it was sent again", async () => {
  await using server = await startNatsServer();
  let lost = 0;
  await using proxy = new Proxy(server.url, { drop: (_, payload) => payload.includes(`"seq":1`) && lost++ === 0 });
  await using client = await openSession({ servers: proxy.url });
  const { session } = client;
  await session.requests.request(
    "$JS.API.STREAM.CREATE.S",
    JSON.stringify({ name: "S", subjects: ["s", "t"], storage: "memory" }),
    within(10_000),
  );
  const call = callWithin(session, 20_000);
  const headers = new HeaderBlock({ "Nats-Msg-Id": "a" });
  const ack = await publish(call, "s", "x", headers, true);
  assertEquals([ack.seq, ack.duplicate, mayBeStored(call, "s"), lost >= 1], [1, true, true, true]);
  await publish(call, "t", "x", headers);
  assertEquals([mayBeStored(call, "t"), mayBeStored(call.until(0), "s")], [false, true]);
});
