import { PgBoss } from "pg-boss";
import type { Payload, QueuePeer, Work } from "./_queue_peer.ts";

const QUEUE = "bench";

/** pg-boss: `send`, `insert`, `fetch` and `complete` by the batch, and a worker that LISTEN wakes. */
export async function pgBoss(port: number): Promise<QueuePeer & AsyncDisposable> {
  const boss = new PgBoss({
    connectionString: `postgres://bench@127.0.0.1:${port}/postgres`,
    max: 20,
    useListenNotify: true,
    supervise: false,
    schedule: false,
  });
  boss.on("error", console.error);
  await boss.start();
  await boss.createQueue(QUEUE, { notify: true });
  return {
    peer: "pg-boss",
    workerNote: "fetch and complete, batches of so many",
    add: (data) => boss.send(QUEUE, data),
    addMany: async (jobs) => {
      await boss.insert(QUEUE, jobs.map((data) => ({ data })));
    },
    work: (concurrency, started) => Promise.resolve(work(boss, concurrency, started)),
    count: async () => {
      const { rows } = await boss.getDb().executeSql("SELECT count(*)::int FROM pgboss.job WHERE state < 'completed'");
      return rows[0].count;
    },
    clear: () => boss.deleteAllJobs(QUEUE),
    [Symbol.asyncDispose]: () => boss.stop({ graceful: false }),
  };
}

/** What its own worker does, without the pauses between batches; once there is nothing left, its own worker waits for more. */
function work(boss: PgBoss, concurrency: number, started: () => void): Work {
  let done = 0;
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const jobs = await boss.fetch<Payload>(QUEUE, { batchSize: concurrency });
      if (jobs.length === 0) break;
      for (const _ of jobs) started();
      await boss.complete(QUEUE, jobs.map(({ id }) => id));
      done += jobs.length;
    }
    if (!stopped) {
      await boss.work<Payload>(QUEUE, { batchSize: concurrency }, (jobs) => {
        jobs.forEach(started);
        return Promise.resolve();
      });
    }
  })();
  return {
    done: () => done,
    stop: async () => {
      stopped = true;
      await loop;
      await boss.offWork(QUEUE);
    },
  };
}
