import { assertEquals, assertLess } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KnownRevisions } from "../../src/bucket/_known_revisions.ts";
import { SharedState } from "../../src/wire/shared_state.ts";
import { matchesSubject } from "../../src/wire/tokens.ts";
import { openSession } from "../_support/open_session.ts";

/** What remembers, as for a stream with replicas. */
async function start() {
  const server = await startNatsServer();
  const open = await openSession({ servers: server.url });
  const known = new KnownRevisions();
  const { session } = open;
  return {
    known,
    session,
    async [Symbol.asyncDispose]() {
      await open[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test("KnownRevisions remembers nothing where one server does it all, until it is switched on", async () => {
  await using open = await start();
  const { known, session } = open;
  known.wrote(session, "a", 1);
  assertEquals(known.newest("a"), 0);
  known.switchOn();
  known.wrote(session, "a", 2);
  known.read(session, "a", 1);
  known.read(session, "b", 3);
  assertEquals(["a", "b", "c"].map((subject) => known.newest(subject)), [2, 3, 0]);
  assertEquals([...known.newerThan(2)], ["b"]);
});

Deno.test("KnownRevisions keeps the subjects used last, and for a minute the newest write of all others", async () => {
  await using open = await start();
  const { known, session } = open;
  known.switchOn();
  for (let n = 1; n <= 50_000; n++) {
    known.wrote(session, `s${n}`, n);
    known.read(session, "always", n);
  }
  assertLess([...known.newerThan(0)].length, 10_001);
  assertEquals(known.newest("always"), 50_000);
  assertEquals(known.newest("s50000"), 50_000);
  // Of those that are forgotten one cannot tell which it was.
  const forgotten = known.newest("s1");
  assertEquals(forgotten > 39_000 && forgotten < 50_000, true, `${forgotten}`);
  assertEquals([known.newest("never"), known.remembered("s1")], [forgotten, 0]);
  // The leader knows.
  known.correct("s1", 1, forgotten);
  assertEquals(known.newest("s1"), 1);
  const { now } = performance;
  try {
    performance.now = () => now.call(performance) + 61_000;
    assertEquals([known.newest("never"), known.newest("s1"), known.newest("s50000")], [0, 1, 50_000]);
  } finally {
    performance.now = now;
  }
});

Deno.test("KnownRevisions takes many reads for no reason to doubt others", async () => {
  await using open = await start();
  const { known, session } = open;
  known.switchOn();
  for (let n = 1; n <= 50_000; n++) known.read(session, `s${n}`, n);
  assertEquals(known.newest("s1"), 0);
});

Deno.test("KnownRevisions keeps what has come while the leader was asked, and forgets a stream that was made again", async () => {
  await using open = await start();
  const { known, session } = open;
  known.switchOn();
  known.wrote(session, "a", 5);
  const asked = known.newest("a");
  known.wrote(session, "a", 7);
  known.correct("a", 5, asked);
  assertEquals(known.newest("a"), 7);
  known.correct("a", 0, 7);
  assertEquals(known.newest("a"), 0);
  known.wrote(session, "a", 9);
  known.belongTo("2026-01-01");
  known.belongTo("2026-01-01");
  assertEquals(known.newest("a"), 9);
  known.belongTo("2026-01-02");
  assertEquals(known.newest("a"), 0);
});

Deno.test("SharedState gives all handles of a stream the same, and keeps the thousand streams used last", () => {
  const shared = new SharedState();
  const of = (stream: string) => shared.of(KnownRevisions, stream);
  const [first, before] = [of("first"), of("s0")];
  for (let n = 0; n < 2_000; n++) {
    of(`s${n}`);
    assertEquals(of("first"), first);
  }
  assertEquals(of("s1999") === of("s1999"), true);
  assertEquals(of("s0") === before, false);
});

Deno.test("matchesSubject goes by the wildcards of NATS", () => {
  const cases: [filter: string, subject: string, matches: boolean][] = [
    ["a.b", "a.b", true],
    ["a.b", "a.b.c", false],
    ["a.*", "a.b", true],
    ["a.*", "a.b.c", false],
    ["a.>", "a.b.c", true],
    ["a.>", "a", false],
    ["*.b.>", "a.b.c", true],
    ["*.b.>", "a.c.c", false],
    [">", "a", true],
  ];
  for (const [filter, subject, matches] of cases) assertEquals(matchesSubject(filter, subject), matches, filter);
});
