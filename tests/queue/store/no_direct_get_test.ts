import { assert, assertEquals } from "@std/assert";
import { type JobInfo, UnrecoverableJobError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

async function ids(jobs: AsyncIterable<Pick<JobInfo, "id">>): Promise<string[]> {
  return (await Array.fromAsync(jobs)).map(({ id }) => id);
}

/** A queue with 20 jobs that wait and 20 that have failed; returns their ids. */
async function fill(stores: QueueStores): Promise<{ waiting: string[]; dead: string[] }> {
  const queue = stores.jobQueue("checks");
  const dead = Array.from({ length: 20 }, (_, n) => `dead ${n}`);
  for (const id of dead) assert(await queue.publish(id, { id }));
  const done = Promise.withResolvers<void>();
  let failed = 0;
  {
    await using _consumer = queue.consume(() => {
      if (++failed === dead.length) done.resolve();
      throw new UnrecoverableJobError("failed");
    }, { concurrency: 1 });
    await within(done.promise);
  }
  const waiting = Array.from({ length: 20 }, (_, n) => `waiting ${n}`);
  for (const id of waiting) assert(await queue.publish(id, { id }));
  return { waiting, dead: dead.reverse() };
}

Deno.test("JobQueue.jobs and deadLetters list what streams without direct gets keep", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const { waiting, dead } = await fill(stores);
  await using foreign = await ForeignClient.connect(server.url);
  for (const name of ["WQ_checks", "WQDEAD_checks"]) {
    const { config } = await foreign.api<{ config: Record<string, unknown> }>(`STREAM.INFO.${name}`);
    const changed = await foreign.api<typeof config>(`STREAM.UPDATE.${name}`, { ...config, allow_direct: false });
    assertEquals((changed.config as typeof config).allow_direct, false);
  }
  const queue = stores.jobQueue("checks");
  assertEquals(await ids(queue.jobs()), waiting);
  assertEquals(await ids(queue.deadLetters()), dead);
});
