import { assertEquals, assertMatch } from "@std/assert";
import { checkStores, type StoreObservation } from "./check_stores.ts";
import type { StoreNote } from "./store_notes.ts";

const KEY = "value.0.0";
const VALUE = { kind: "value", key: KEY } as const;

/** A write of the only key, which takes a second. */
function write(version: number, at: number, options: { confirmed?: boolean; deletes?: boolean } = {}): StoreNote[] {
  const { confirmed = true, deletes = false } = options;
  return [
    { what: "write", ...VALUE, version, deletes, at: at * 1_000 },
    { what: "written", ...VALUE, version, confirmed, at: (at + 1) * 1_000 },
  ];
}

function read(version: number, at: number): StoreNote {
  return { what: "read", ...VALUE, client: "b", version, strict: true, from: at * 1_000, at: at * 1_000 + 100 };
}

function incremented(client: string, count: number, pending = false): StoreNote {
  return { what: "incremented", key: "c", client, count, pending, at: count };
}

function check(notes: StoreNote[], version: number, options: Partial<StoreObservation> = {}): string[] {
  const none = { chaos: [], objects: new Map(), counters: new Map(), claims: new Map(), money: 800 };
  return checkStores({ notes, ...none, values: new Map(version > 0 ? [[KEY, version]] : []), ...options });
}

function assertBroken(violations: string[], message: RegExp): void {
  assertEquals(violations.length, 1, violations.join("\n"));
  assertMatch(violations[0], message);
}

Deno.test("checkStores accepts the last confirmed version, and any unconfirmed one after it", () => {
  const notes = [...write(1, 0), ...write(2, 2), ...write(3, 4, { confirmed: false })];
  assertEquals(check(notes, 2), []);
  assertEquals(check(notes, 3), []);
  assertEquals(check([...notes, ...write(4, 6, { deletes: true })], 0), []);
});

Deno.test("checkStores rejects an end that loses a confirmed write or brings an older one back", () => {
  assertBroken(check(write(1, 0), 0), /has version 0 in the end, and 1 was confirmed last/);
  assertBroken(check([...write(1, 0), ...write(2, 2)], 1), /has version 1 in the end/);
  assertBroken(check([...write(1, 0), ...write(2, 2, { deletes: true })], 1), /has version 1 in the end/);
});

Deno.test("checkStores lets an unconfirmed write take effect late only if it was under way in an outage", () => {
  const notes = [...write(1, 0, { confirmed: false }), ...write(2, 2)];
  assertBroken(check(notes, 1), /has version 1 in the end/);
  const outage = { what: "outage", how: "unreachable", pid: null, from: 500, at: 1_500 } as const;
  assertEquals(check(notes, 1, { chaos: [outage] }), []);
  assertBroken(check(notes, 1, { chaos: [{ ...outage, from: 9_000, at: 9_500 }] }), /has version 1 in the end/);
});

Deno.test("checkStores rejects a read that misses what was confirmed before it", () => {
  const notes = [...write(1, 0), ...write(2, 2)];
  assertEquals(check([...notes, read(1, 1.5), read(2, 1.95), read(2, 4)], 2), []);
  assertBroken(check([...notes, read(1, 4)], 2), /b read version 1 of value value\.0\.0/);
  assertBroken(check([...notes, read(0, 4)], 2), /b read version 0/);
  assertBroken(check([...notes, read(2, 1)], 2), /b read version 2/);
});

Deno.test("checkStores rejects a watch that ends elsewhere than the bucket", () => {
  const view = (versions: Record<string, number>): StoreNote => ({ what: "view", client: "b", versions, at: 9_000 });
  assertEquals(check([...write(1, 0), view({ [KEY]: 1 })], 1), []);
  assertBroken(check([...write(1, 0), view({})], 1), /the watch of b has version undefined/);
});

Deno.test("checkStores rejects increments that are lost, doubled or unknown", () => {
  const counters = (total: number, by: Record<string, number>) => ({ counters: new Map([["c", { total, by }]]) });
  assertEquals(check([incremented("a", 2), incremented("b", 1)], 0, counters(3, { a: 2, b: 1 })), []);
  assertEquals(check([incremented("a", 2, true)], 0, counters(3, { a: 3 })), []);
  assertBroken(check([incremented("a", 2)], 0, counters(1, { a: 1 })), /c has 1 increments of a, which made 2/);
  assertBroken(check([incremented("a", 2)], 0, counters(3, { a: 3 })), /c has 3 increments of a/);
  assertBroken(check([incremented("a", 2)], 0, counters(3, { a: 2 })), /c is 3, and its increments are 2/);
});

Deno.test("checkStores rejects a key that two clients created, and one that is another's", () => {
  const claimed = (client: string): StoreNote => ({ what: "claimed", key: "k", client, at: 1 });
  assertEquals(check([claimed("a")], 0, { claims: new Map([["k", "a"]]) }), []);
  assertBroken(check([claimed("a"), claimed("b")], 0, { claims: new Map([["k", "a"]]) }), /by a and by b/);
  assertBroken(check([claimed("a")], 0, { claims: new Map([["k", "b"]]) }), /created by a and is of b/);
});

Deno.test("checkStores rejects refusals, late calls and a log line that comes twice in a row", () => {
  const log = (message: string, at: number): StoreNote => ({ what: "log", client: "a", level: "info", message, at });
  assertEquals(check([log("connected", 1), log("lost", 2), log("connected", 3)], 0), []);
  assertBroken(check([log("lost", 2), log("lost", 3)], 0), /a told twice in a row: lost/);
  const refused = { what: "refused", client: "a", call: "put", code: "server", message: "no", at: 1 } as const;
  assertBroken(check([refused], 0), /a: put was refused: server: no/);
  const late = { what: "late", client: "a", call: "put", took: 3_000, deadline: 2_500, lag: 10, at: 1 } as const;
  assertBroken(check([late], 0), /a: put took 3000 ms of 2500/);
});

Deno.test("checkStores rejects a lock that two clients hold at the same time", () => {
  const held = (client: string, from: number, at: number): StoreNote => ({ what: "held", client, from, at });
  assertEquals(check([held("a", 0, 60), held("b", 60, 120), held("a", 130, 190)], 0), []);
  assertBroken(check([held("b", 50, 110), held("a", 0, 60)], 0), /b got the lock 10 ms before a released it/);
});

Deno.test("checkStores rejects accounts that have gained or lost money", () => {
  assertBroken(check([], 0, { money: 799 }), /have 799 in the end, not 800/);
});
