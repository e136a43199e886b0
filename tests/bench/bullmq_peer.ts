import { Queue, Worker } from "bullmq";
import type { Payload, QueuePeer } from "./_queue_peer.ts";

const QUEUE = "bench";

/** BullMQ: `add`, `addBulk`, and a worker. */
export function bullMq(port: number): QueuePeer & AsyncDisposable {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
  const queue = new Queue<Payload>(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } });
  return {
    peer: "BullMQ",
    add: (data) => queue.add("job", data),
    addMany: (jobs) => queue.addBulk(jobs.map((data) => ({ name: "job", data }))),
    work: async (concurrency, started) => {
      const worker = new Worker<Payload>(QUEUE, () => Promise.resolve(started()), { connection, concurrency });
      let done = 0;
      worker.on("completed", () => done++);
      worker.on("error", console.error);
      await worker.waitUntilReady();
      return { done: () => done, stop: () => worker.close() };
    },
    count: () => queue.getJobCountByTypes("waiting", "active", "delayed", "prioritized", "failed", "completed"),
    clear: () => queue.drain(),
    [Symbol.asyncDispose]: () => queue.close(),
  };
}
