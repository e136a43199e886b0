import { assert, assertEquals, assertLess } from "@std/assert";
import { Objm } from "@nats-io/obj";
import type { ObjectBucket } from "../../src/object/object_bucket.ts";
import { startProcess } from "../_support/start_process.ts";
import { ObjectServer } from "./_object_server.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";
import { assertRaceVersion, raceVersion } from "./_race_version.ts";

/** Reads of each race: few in each run of the tests, 100 000 by `deno task test:race`. */
const READS = Number(Deno.env.get("RACE_READS") ?? 2_000);

const WRITER = new URL("_race_writer.ts", import.meta.url);

/** By how many milliseconds a busy machine may be late to say that a call's time is over. */
const PRECISION = 1_000;

/**
 * Reads objects, several at a time.
 *
 * @param expect Called as a read begins; what it returns checks what the read gives.
 */
async function readMany(
  bucket: ObjectBucket,
  names: string[],
  expect: (name: string) => (data: Uint8Array | null) => void,
  reads = READS,
): Promise<void> {
  let left = reads;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (left-- > 0) {
      const name = names[left % names.length];
      const check = expect(name);
      const since = performance.now();
      const data = left % 10 === 0 ? await readStream(bucket, name) : await bucket.get(name);
      assertLess(performance.now() - since, TIMEOUT_MS + PRECISION);
      if (data !== "broken off") check(data);
    }
  }));
}

/** A stream cannot go over to a newer version: it may end with an error that says so, but never early or mixed. */
async function readStream(bucket: ObjectBucket, name: string): Promise<Uint8Array | null | "broken off"> {
  const stream = await bucket.getStream(name);
  try {
    return stream && await new Response(stream).bytes();
  } catch (error) {
    assertEquals((error as { code?: string }).code, "replaced");
    return "broken off";
  }
}

/** Repeats something until disposal, which throws what it has met. */
function repeat(work: () => Promise<void>): AsyncDisposable {
  let stopped = false;
  const running = (async () => {
    while (!stopped) await work();
  })();
  running.catch(() => {});
  return {
    [Symbol.asyncDispose]: () => {
      stopped = true;
      return running;
    },
  };
}

Deno.test("ObjectBucket.get gives whole versions while several writers replace the objects", async () => {
  await using server = await ObjectServer.start();
  await using others = new ObjectServer.Stores(server.server.url);
  const names = ["a", "b"];
  const writers = [server.bucket("race"), server.bucket("race"), others.objectBucket("race")];
  const begun = writers.map(() => 0);
  const write = async (i: number) => {
    const n = begun[i]++;
    assert(await writers[i].put(names[n % 2], raceVersion(`w${i}`, n)), "A write is not confirmed");
  };
  for (const i of writers.keys()) await write(i), await write(i);
  {
    await using _first = repeat(() => write(0));
    await using _second = repeat(() => write(1));
    await using _third = repeat(() => write(2));
    await readMany(server.bucket("race"), names, () => (data) => {
      assert(data, "There was always a version");
      const { writer, n } = assertRaceVersion(data);
      assertLess(n, begun[Number(writer.slice(1))]);
    });
  }
  await server.assertClean("race");
});

Deno.test("ObjectBucket.get gives a whole version, or null after a delete, while a writer puts and deletes", async () => {
  await using server = await ObjectServer.start();
  await using others = new ObjectServer.Stores(server.server.url);
  const writer = others.objectBucket("race");
  let n = 0;
  /** When the object was last not there. */
  let absent = -Infinity;
  const write = async () => {
    assert(await writer.put("a", raceVersion("w", n++)));
    if (n % 3 > 0) return;
    absent = Infinity;
    assertEquals(await writer.delete("a"), true);
    assert(await writer.put("a", raceVersion("w", n++)));
    absent = performance.now();
  };
  await write();
  {
    await using _writing = repeat(write);
    await readMany(server.bucket("race"), ["a"], () => {
      const since = performance.now();
      return (data) => {
        if (data) assertLess(assertRaceVersion(data).n, n);
        else assert(absent >= since, "The object was not deleted");
      };
    });
  }
  await server.assertClean("race");
});

Deno.test("ObjectBucket.get gives whole versions while two processes replace the objects", async () => {
  await using server = await ObjectServer.start();
  const names = ["a", "b"];
  await using first = startProcess(WRITER, server.server.url, "race", "first", "1e9", ...names);
  await using second = startProcess(WRITER, server.server.url, "race", "second", "1e9", ...names);
  for (const process of [first, second]) assertEquals(await process.nextLine(), "begun");
  const seen = new Set<string>();
  const read = () =>
    readMany(server.bucket("race"), names, () => (data) => {
      assert(data, "There was always a version");
      seen.add(assertRaceVersion(data).writer);
    }, Math.ceil(READS / 3));
  await read();
  await waitUntil(async () => seen.size === 2 || (await read(), false));
  assertEquals([...seen].sort(), ["first", "second"]);
});

Deno.test("ObjectBucket leaves no chunks when two processes have replaced the same objects", async () => {
  await using server = await ObjectServer.start();
  const versions = String(Math.ceil(READS / 20));
  await using first = startProcess(WRITER, server.server.url, "race", "first", versions, "a", "b");
  await using second = startProcess(WRITER, server.server.url, "race", "second", versions, "a", "b");
  for (const process of [first, second]) assertEquals(await process.output(), "begun\ndone\n");
  for (const name of ["a", "b"]) assertRaceVersion((await server.bucket("race").get(name))!);
  await server.assertClean("race");
});

Deno.test("ObjectBucket.get gives whole versions, or null once they expire, of objects that live a second", async () => {
  await using server = await ObjectServer.start();
  await using others = new ObjectServer.Stores(server.server.url);
  const ttl = 1_000;
  const writer = others.objectBucket("race", { ttl });
  const names = ["a", "b", "c"];
  const stored = new Map<string, number>();
  let n = 0;
  const put = async (name: string) => {
    const since = performance.now();
    assert(await writer.put(name, raceVersion("w", n++)));
    stored.set(name, since);
  };
  for (const name of names) await put(name);
  let expired = 0;
  {
    await using _writing = repeat(async () => {
      for (const name of names) await put(name);
      await new Promise((resolve) => setTimeout(resolve, 1_300));
    });
    for (const end = performance.now() + 3_000; performance.now() < end || expired === 0;) {
      await readMany(server.bucket("race"), names, (name) => {
        const since = stored.get(name)!;
        return (data) => {
          if (data) return void assertRaceVersion(data);
          expired++;
          assert(performance.now() - since >= ttl, "The object has not expired");
        };
      }, 500);
    }
  }
});

Deno.test("ObjectBucket.get gives whole versions while the official client replaces the objects", async () => {
  await using server = await ObjectServer.start();
  const official = await new Objm(server.nc).create("race");
  let n = 0;
  const put = async () => {
    await official.putBlob({ name: "a" }, raceVersion("official", n++));
  };
  await put();
  {
    await using _writing = repeat(put);
    await readMany(server.bucket("race"), ["a"], () => (data) => {
      assert(data, "There was always a version");
      assertLess(assertRaceVersion(data).n, n);
    });
  }
  await server.assertClean("race");
});

Deno.test("ObjectBucket leaves to the official client what its writers have last written", async () => {
  await using server = await ObjectServer.start();
  const writers = [server.bucket("race"), server.bucket("race")];
  for (let n = 0; n < 60; n++) await Promise.all(writers.map((writer, i) => writer.put("a", raceVersion(`w${i}`, n))));
  const official = await new Objm(server.nc).open("race");
  assertEquals(assertRaceVersion((await official.getBlob("a"))!).n, 59);
});
