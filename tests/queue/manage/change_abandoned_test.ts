import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Relay } from "../../_support/relay.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

/** Longer than a worker or another call waits for a call that died, and than its copy takes to fire. */
const PATIENCE_MS = 90_000;

test("A change whose call has died is ended by a worker, or by another call, and its job runs once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url, { timeout: PATIENCE_MS });
  const run = async (name: string, change?: string) => {
    const queue = stores.jobQueue<string>(name);
    const changed = change === undefined ? null : await queue.update("a", change);
    const runs = new RecordedRuns<string>();
    await using consumer = queue.consume(runs.handler);
    await waitUntil(() => consumer.status().ended.completed > 0, PATIENCE_MS);
    await waitUntil(async () => await queue.get("a") === null);
    return [changed, ...runs.all.map(({ data }) => data)];
  };
  for (const name of ["undecided", "undecided-changed"]) await dieAt(server.url, name, "CONSUMER.INFO", 2);
  for (const name of ["decided", "decided-changed"]) await dieAt(server.url, name, "STREAM.MSG.DELETE", 1);
  const ends = await Promise.all([
    run("undecided"),
    run("decided"),
    run("undecided-changed", "newest"),
    run("decided-changed", "newest"),
  ]);
  assertEquals(ends, [[null, "old"], [null, "new"], [true, "newest"], [true, "newest"]]);
});

/** Publishes a job, and begins an update of it that ends before the server gets the nth request of a kind. */
async function dieAt(url: string, name: string, request: string, nth: number): Promise<void> {
  let isChanging = false;
  let seen = 0;
  const stopAt = (subject: string) => isChanging && subject.includes(request) && ++seen === nth;
  await using relay = new Relay(url, { stopAt });
  await using stores = new QueueStores(relay.url);
  const queue = stores.jobQueue<string>(name);
  await queue.publish("old", { id: "a" });
  isChanging = true;
  queue.update("a", "new");
  await relay.stopped;
  await stores.close({ deadline: 0 });
}
