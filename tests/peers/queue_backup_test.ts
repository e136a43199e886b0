import { assertEquals } from "@std/assert";
import type { Job, JobQueue } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { openStores } from "../_support/open_stores.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { nats, withoutNatsCommand } from "./_nats_command.ts";

/** All that is stored of a queue `mails`. The jobs come last: running workers make the others anew as soon as they find jobs. */
const STREAMS = ["WQDEAD_mails", "KV_wq_mails", "WQ_mails"];

const LEASE = 2_000;

/** What a job is to do. */
interface Mail {
  waits?: boolean;
  fails?: boolean;
}

/** Backs the streams of the queue up, and returns the directory. */
async function backUp(url: string): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "backup-" });
  for (const stream of STREAMS) {
    await nats(url, "backup", "stream", stream, `${path}/${stream}`, "--consumers", "--no-progress");
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function restore(url: string, path: string): Promise<void> {
  for (const stream of STREAMS) await nats(url, "backup", "restore", "stream", `${path}/${stream}`, "--no-progress");
}

/** Runs of jobs by their ids. Jobs whose data says so fail, or wait, until `release` is called. */
class Runs {
  readonly counts: Map<string, number> = new Map();
  readonly #gate = Promise.withResolvers<void>();
  #isReleased = false;

  release(): void {
    this.#isReleased = true;
    this.#gate.resolve();
  }

  readonly handle = async (job: Job<Mail>): Promise<string> => {
    this.counts.set(job.id, (this.counts.get(job.id) ?? 0) + 1);
    if (job.data.fails && !this.#isReleased) throw new Error("as it should");
    if (job.data.waits) await this.#gate.promise;
    return job.id;
  };
}

const ids = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/**
 * Publishes 20 jobs that are done, one dead letter, and 8 that are active; then, while no more are taken, 10 that wait and 5 that are delayed.
 */
async function fill(queue: JobQueue<Mail>, runs: Runs): Promise<void> {
  queue.consume(runs.handle, { concurrency: 8, prefetch: 0 });
  const publish = async (ids: string[], data: Mail, options = {}) => {
    for (const id of ids) await queue.publish(data, { id, ...options });
  };
  await publish(ids("done", 20), {}, { keepResult: 3_600_000 });
  await publish(["dead"], { fails: true }, { maxAttempts: 1 });
  for (const id of ids("done", 20)) await queue.waitFor(id, { timeout: 20_000 });
  await waitUntil(async () => (await queue.counts())?.dead === 1);
  await publish(ids("active", 8), { waits: true });
  await waitUntil(() => ids("active", 8).every((id) => runs.counts.has(id)));
  await publish(ids("waiting", 10), {});
  await publish(ids("delayed", 5), {}, { delay: 4_000 });
}

/** Waits until a queue has nothing left to do. */
async function drained(queue: JobQueue<Mail>): Promise<void> {
  await waitUntil(async () => {
    const counts = await queue.counts();
    return counts !== null &&
      counts.active + counts.delayed + Object.values(counts.ready).reduce((a, b) => a + b) === 0;
  }, 60_000);
}

Deno.test({
  name:
    `a queue backed up by the nats command with work in flight loses nothing on another server, and runs again only what was not completed${withoutNatsCommand}`,
  ignore: withoutNatsCommand !== "",
  fn: async () => {
    const before = new Runs();
    await using source = await startNatsServer();
    await using sourceStores = openStores(source.url);
    const sourceQueue = sourceStores.jobQueue<Mail>("mails", { lease: LEASE });
    await fill(sourceQueue, before);
    await using backup = await backUp(source.url);
    // What is completed after the backup, the backup does not know.
    before.release();
    await drained(sourceQueue);
    await sourceStores.close();

    await using target = await startNatsServer();
    await restore(target.url, backup.path);
    await using stores = openStores(target.url);
    const queue = stores.jobQueue<Mail>("mails", { lease: LEASE });
    assertEquals((await queue.publish({}, { id: "waiting0" }))?.duplicate, true);
    assertEquals((await queue.publish({}, { id: "active0" }))?.duplicate, true);
    assertEquals((await queue.publish({}, { id: "delayed0" }))?.duplicate, true);
    assertEquals((await queue.result("done3"))?.value, "done3");
    assertEquals((await queue.deadLetter("dead"))?.reason, "as it should");

    const after = new Runs();
    after.release();
    queue.consume(after.handle, { concurrency: 8 });
    await within(drained(queue), 60_000);
    const expected = [...ids("active", 8), ...ids("waiting", 10), ...ids("delayed", 5)];
    assertEquals(new Map([...after.counts].sort()), new Map(expected.map((id): [string, number] => [id, 1]).sort()));
    assertEquals(await queue.redrive("dead"), 1);
    await waitUntil(() => after.counts.get("dead") !== undefined);
  },
});

Deno.test({
  name:
    `a queue restored in place by the nats command, under running workers, runs nothing again that these have completed${withoutNatsCommand}`,
  ignore: withoutNatsCommand !== "",
  fn: async () => {
    const runs = new Runs();
    await using server = await startNatsServer();
    await using stores = openStores(server.url);
    const queue = stores.jobQueue<Mail>("mails", { lease: LEASE });
    await fill(queue, runs);
    await using backup = await backUp(server.url);
    runs.release();
    await drained(queue);
    const completed = new Map(runs.counts);
    for (const stream of STREAMS) await nats(server.url, "stream", "rm", stream, "--force");
    await restore(server.url, backup.path);
    await queue.publish({}, { id: "new" });
    await waitUntil(() => runs.counts.has("new"), 60_000);
    await drained(queue);
    completed.set("new", 1);
    assertEquals(new Map([...runs.counts].sort()), new Map([...completed].sort()));
  },
});
