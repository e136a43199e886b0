import type { JobQueue } from "../../../mod.ts";
import { CommandFailure } from "../command_failure.ts";
import type { Nats } from "../command_line.ts";

/** A queue that is there: a slip of the pen must neither look like an empty queue nor make one. */
export async function existingQueue(nats: Nats, name: string): Promise<JobQueue> {
  const queue = nats.stores.jobQueue(name);
  if (await nats.ask(queue.counts()) === null) throw new CommandFailure(`there is no queue ${name}`);
  return queue;
}
