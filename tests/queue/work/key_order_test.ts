import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { type ScriptProcess, startProcess } from "../../_support/start_process.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { disorder, type KeyedRun, readRuns } from "../_keyed_runs.ts";
import type { Behaviour } from "../_keyed_worker.ts";
import { openStores } from "../../_support/open_stores.ts";

const SCRIPT = new URL("../_keyed_worker.ts", import.meta.url);

interface Worker {
  process: ScriptProcess;
  path: string;
  /** Resolves when it has begun a job that does not end. */
  hangs: Promise<Worker>;
  killedAt: number;
}

Deno.test("Jobs of one key run in order and one at a time over eight workers that fail and are killed", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using stack = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const queue = stores.jobQueue<Behaviour>("checks", { lease: 3_000 });
  const keys = Array.from({ length: 24 }, (_, n) => `key${n}`);
  const hanging = ["key2-4", "key9-8", "key17-12"];
  const jobs = Array.from({ length: 20 }, (_, place) =>
    keys.map((key, n) => {
      const id = `${key}-${place}`;
      const fails = (place + n) % 7 === 0 ? 1 : (place + n) % 50 === 13 ? 2 : 0;
      return { id, key, data: { fails, hangs: hanging.includes(id) } };
    })).flat();
  await queue.publishMany(jobs, { atomic: true });

  const all: Worker[] = [];
  const start = async () => {
    const name = `worker${all.length}`;
    const process = stack.use(startProcess(SCRIPT, server.url, "checks", directory, name));
    const worker: Worker = { process, path: `${directory}/${name}`, hangs: new Promise(() => {}), killedAt: Infinity };
    all.push(worker);
    await process.nextLine();
    worker.hangs = process.nextLine().then(() => worker, () => new Promise(() => {}));
  };
  await Promise.all(Array.from({ length: 8 }, start));
  // Several of those that hang may be in one worker.
  const killed = new Set<string>();
  while (!hanging.every((id) => killed.has(id))) {
    const alive = all.filter(({ killedAt }) => killedAt === Infinity);
    const worker = await within(Promise.race(alive.map(({ hangs }) => hangs)), 60_000);
    worker.killedAt = performance.timeOrigin + performance.now();
    await worker.process.kill();
    for (const { key, place, how } of readRuns(await Deno.readTextFile(worker.path), worker.killedAt)) {
      if (how === "killed") killed.add(`${key}-${place}`);
    }
    await start();
  }
  await waitUntil(async () => {
    const counts = await queue.counts();
    return counts !== null && counts.ready.keyed + counts.active === 0;
  }, 20_000);

  const runs: KeyedRun[] = [];
  for (const { path, killedAt } of all) runs.push(...readRuns(await Deno.readTextFile(path), killedAt));
  assertEquals(keys.flatMap((key) => disorder(runs.filter((run) => run.key === key))), []);
  const done = runs.filter(({ how }) => how === "end").map(({ key, place }) => `${key}-${place}`);
  assertEquals(new Set(done).size, jobs.length);
  const cutOff = new Set(runs.filter(({ how }) => how === "killed").map(({ key, place }) => `${key}-${place}`));
  assertEquals(hanging.filter((id) => !cutOff.has(id)), []);
  assertEquals((await queue.counts())?.dead, 0);
});
