import { assert, assertEquals, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ReplyPlaces } from "../../../src/wire/requests/_reply_places.ts";
import { OneReply } from "../../../src/wire/requests/_reply_slot.ts";
import { openSession, within } from "../../_support/open_session.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const PLACES = 2 ** 24;

const newSlot = () => new OneReply({ subject: "x", payload: "" }, Infinity, () => 0, () => {}, () => {});

Deno.test("ReplyPlaces gives up the places of a burst while calls go on, and never gives a number twice", () => {
  const places = new ReplyPlaces();
  const used = new Set<number>();
  const add = () => {
    const slot = newSlot();
    const place = places.add(slot);
    const number = places.numberOf(place);
    assert(!used.has(number), `${number} was used before`);
    used.add(number);
    assertEquals([places.placeOf(number), places.at(place)], [place, slot]);
    return { place, slot, number };
  };
  let pending: ReturnType<typeof add>[] = [];
  for (let round = 0; round < 3; round++) {
    const burst = Array.from({ length: 20_000 }, add);
    // Some that are late keep their places, among them the highest.
    const late = burst.filter((_, i) => i % 1_000 === 999);
    for (const { place, slot } of burst) {
      if (!late.some((one) => one.place === place)) places.remove(place, slot, false);
    }
    places.shrink();
    for (const { place, slot } of late) assertEquals(places.at(place), slot);
    // The calls that follow take the lowest places.
    for (const { place, slot } of pending) places.remove(place, slot, false);
    pending = Array.from({ length: 16 }, add);
    for (const { place, slot } of late) places.remove(place, slot, false);
    places.shrink();
    for (const { number } of burst) assertEquals(places.placeOf(number), -1);
    assertEquals(
      [...places.entries()].map(([place]) => place),
      pending.map(({ place }) => place).sort((a, b) => a - b),
    );
    const highest = Math.max(
      ...Array.from({ length: 1_500 }, add).map((more) => {
        pending.push(more);
        return more.place;
      }),
    );
    assertLess(highest, 2_000);
  }
});

Deno.test("Requests gives the lowest places to the calls that follow a burst", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  await Promise.all(Array.from({ length: 5_000 }, () => session.requests.request("$JS.API.INFO", "", within(60_000))));
  const replies: string[] = [];
  session.subscribe("kept", ({ reply }) => void replies.push(reply!), (error) => {
    throw error;
  });
  const kept: Promise<unknown>[] = [];
  await waitUntil(() => {
    // While it is pending the deadlines are looked after, and the places, too.
    kept.push(session.requests.request("kept", "", within(60_000)));
    return replies.slice(1).some((reply) => Number(reply.slice(reply.lastIndexOf(".") + 1)) % PLACES < 1_024);
  });
  // The others would last for many more, and then the lowest come, too.
  assertLess(kept.length, 1_000);
  await waitUntil(() => replies.length === kept.length);
  for (const reply of replies) session.send(reply, "");
  await Promise.all(kept);
  assertEquals(session.requests.size, 0);
});
