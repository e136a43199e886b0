import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { settledWithin } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { readWorker, type WorkerInfo } from "../format/worker_info.ts";

/** Milliseconds that workers have to answer: their number is unknown. */
const ANSWER_MS = 500;

/** Workers that are listed at most. */
const MAX_WORKERS = 10_000;

/**
 * Asks the workers of a queue what they do: one message, and one of some 300 bytes from each. They answer on a subject of the queue, since a worker
 * may publish there, and need not be allowed to publish to inboxes.
 *
 * @returns The workers that answered in time, the oldest first.
 * @throws {JetStreamStoreError} `permission`, if asking or listening is not allowed.
 */
export async function listWorkers(call: Call, names: QueueNames): Promise<WorkerInfo[]> {
  const ask = crypto.randomUUID().replaceAll("-", "");
  const workers = new Map<string, WorkerInfo>();
  let refusal: Error | null = null;
  const listening = call.session.subscribe(names.workerAnswers(ask), ({ data }) => {
    const worker = readWorker(data);
    if (workers.size < MAX_WORKERS) workers.set(worker.id, worker);
  }, (error) => refusal = error);
  try {
    // Nothing comes to this inbox but the server's word that there is no worker.
    await call.session.requests.collect(
      names.workers,
      ask,
      Math.min(call.deadline, performance.now() + ANSWER_MS),
      () => false,
    );
  } catch (error) {
    if (!(error instanceof Unavailable && (error.reason === "timeout" || error.reason === "no_responders"))) {
      throw error;
    }
    // A process that was busy for that long reads only now what the server has sent in time; a server that is silent has not asked the workers.
    const drained = await settledWithin(listening.drain(), Math.max(1, call.deadline - performance.now()));
    if (!drained || call.session.signal.aborted) throw error;
  } finally {
    listening.stop();
  }
  if (refusal) throw refusal;
  return [...workers.values()].sort((a, b) => a.since.getTime() - b.since.getTime());
}
