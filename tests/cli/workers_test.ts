import { assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { waitUntil } from "../_support/wait_until.ts";
import { records, startCli } from "./_cli.ts";

Deno.test("queue workers lists the workers of a queue, and how busy they are", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const queue = stores.jobQueue("mails");
  await queue.open();
  assertEquals((await cli(["queue", "workers", "mails"])).stdout, "0 workers\n");
  assertEquals((await cli(["queue", "workers", "none"])).code, 1);
  const go = Promise.withResolvers<void>();
  await using worker = queue.consume(() => go.promise, { concurrency: 4, priorities: ["normal"] });
  await queue.publish(1);
  await waitUntil(() => worker.status().active === 1);
  // A worker that does not answer in time is not listed.
  let record: Record<string, unknown> = {};
  await waitUntil(async () => ([record] = records(await cli(["queue", "workers", "mails", "--json"]))).length > 0);
  assertEquals([record.pid, record.active, record.concurrency, record.state], [process.pid, 1, 4, "serving"]);
  let listed = "";
  await waitUntil(async () => !(listed = (await cli(["queue", "workers", "mails"])).stdout).startsWith("0 workers"));
  assertMatch(
    listed,
    /^1 worker\nWORKER [^\n]*\nsupercheck 127\.0\.0\.1 \d+ +serving +1 of 4 /,
  );
  await queue.publish(2, { id: "waits", priority: "low" });
  const active = records(await cli(["queue", "peek", "mails", "--active", "--json"])).map((
    { id, state },
  ) => [id, state]);
  assertEquals(active.map(([, state]) => state), ["active"]);
  go.resolve();
});

Deno.test("queue get says where a job is that is not in its queue: among the dead letters, or completed", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const queue = stores.jobQueue("mails");
  await using worker = queue.consume((job) => {
    if (job.id === "bad") throw new Error("no\nroute");
  }, { maxAttempts: 1 });
  await queue.publish(1, { id: "bad" });
  await queue.publish(1, { id: "good", keepResult: 60_000 });
  await waitUntil(() => worker.status().ended.dead === 1 && worker.status().ended.completed === 1);
  const get = async (id: string) => (await cli(["queue", "get", "mails", id])).stderr;
  assertMatch(
    await get("bad"),
    /^error: job "bad" is a dead letter of queue mails: no[^\n]+route; see queue dead mails "bad"\n$/,
  );
  assertMatch(
    await get("good"),
    /^error: there is no job "good" in queue mails; it is completed; see queue result mails "good"\n/,
  );
  assertMatch(await get("none"), /^error: there is no job "none" in queue mails; it may be done\n/);
  assertMatch((await cli(["queue", "dead", "mails", "bad"])).stdout, /reason +no/);
  assertEquals((await cli(["queue", "dead", "mails", "none"])).code, 1);
});
