import { assertEquals, assertRejects } from "@std/assert";
import { Unavailable } from "../../src/connection/unavailable.ts";
import { Once } from "../../src/wire/once.ts";
import { type Call, callWithin } from "../../src/wire/call.ts";
import type { Session } from "../../src/wire/session.ts";
import { within } from "../_support/wait_until.ts";

/** A call over what is needed of a session here. */
function call(ms: number): Call {
  return callWithin({ signal: new AbortController().signal } as Session, ms);
}

/** Fails as an opening does whose deadline has passed. */
const timeout = () => new Unavailable("timeout", "No answer within the deadline");

Deno.test("Once.get ends by its own deadline while another call opens", async () => {
  const never = Promise.withResolvers<string>();
  const once = new Once(() => never.promise);
  const opening = once.get(call(60_000));
  const error = await assertRejects(() => within(once.get(call(20))), Unavailable);
  assertEquals(error.reason, "timeout");
  never.resolve("open");
  assertEquals(await opening, "open");
  assertEquals(await once.get(call(0)), "open");
});

Deno.test("Once.get continues when the call that opened has passed its own deadline, or lost its connection", async () => {
  for (const failure of [timeout(), new Unavailable("lost", "The connection was lost")]) {
    const first = Promise.withResolvers<string>();
    let made = 0;
    const once = new Once(() => ++made === 1 ? first.promise : Promise.resolve("open"));
    const opening = once.get(call(60_000));
    const shared = [1, 2, 3].map(() => once.get(call(60_000)));
    first.reject(failure);
    assertEquals(await assertRejects(() => opening), failure);
    assertEquals(await Promise.all(shared), ["open", "open", "open"]);
    assertEquals(made, 2);
  }
});

Deno.test("Once.get fails with what is refused for good, for all who share it", async () => {
  const refusal = new Error("refused");
  const once = new Once(() => Promise.reject(refusal));
  const shared = [1, 2].map(() => once.get(call(60_000)));
  for (const opening of shared) assertEquals(await assertRejects(() => opening), refusal);
});
