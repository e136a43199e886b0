import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { testFrom } from "../_support/test_from.ts";
import { records, startCli } from "./_cli.ts";

const test = testFrom("2.14");

test("queue schedule, schedules, run and unschedule manage a schedule", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const args = ["queue", "schedule", "reports", "nightly", '{"deep":true}'];
  assertEquals((await cli(args)).code, 2, "neither --every nor --cron");
  assertEquals((await cli([...args.slice(0, 4), "no json", "--every", "1h"])).code, 2);
  const given = ["--cron", "30 2 * * *", "--time-zone", "Europe/Berlin", "--priority", "low"];
  assertEquals((await cli([...args, ...given])).stdout, 'scheduled "nightly" of reports\n');
  const [schedule] = await Array.fromAsync(stores.jobQueue("reports").schedules());
  assertEquals([schedule.cron, schedule.timeZone, schedule.priority], ["0 30 2 * * *", "Europe/Berlin", "low"]);

  assertEquals((await cli(["queue", "run", "reports", "nightly"])).stdout, "@nightly\n");
  const [job] = await Array.fromAsync(stores.jobQueue("reports").jobs());
  assertEquals([job.id, job.priority, job.data], ["@nightly", "low", { deep: true }]);
  const missing = await cli(["queue", "run", "reports", "other"]);
  assertEquals([missing.code, missing.stderr], [1, 'error: there is no schedule "other" in queue reports\n']);

  assertEquals((await cli(["queue", "unschedule", "reports", "nightly"])).stdout, 'unscheduled "nightly" of reports\n');
  assertEquals((await cli(["queue", "unschedule", "reports", "nightly"])).code, 1);
  assertEquals(await Array.fromAsync(stores.jobQueue("reports").schedules()), []);
});

Deno.test("queue limit sets and lifts limits, and queue counts shows them with pauses", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await stores.jobQueue("mails").open();
  assertEquals((await cli(["queue", "limit", "mails"])).code, 2);
  assertEquals((await cli(["queue", "limit", "mails", "--high", "0"])).code, 2);
  assertEquals((await cli(["queue", "limit", "none", "--high", "1"])).code, 1);
  const set = await cli(["queue", "limit", "mails", "--high", "3", "--low", "7"]);
  assertEquals(set.stdout, "mails: high: 3, low: 7\n");
  await stores.jobQueue("mails").pause(undefined, { priority: "low" });
  assertStringIncludes((await cli(["queue", "counts", "mails"])).stdout, "low paused; active high ≤ 3, low ≤ 7");
  const [record] = records(await cli(["queue", "counts", "mails", "--json"]));
  assertEquals(record.limits, { high: 3, normal: null, low: 7 });
  assertEquals(record.paused, { priorities: ["low"], until: null });
  const rate = await cli(["queue", "limit", "mails", "--rate", "50/1s"]);
  assertEquals(rate.stdout, "mails: rate: 50 starts in 1000 ms\n");
  assertStringIncludes((await cli(["queue", "counts", "mails"])).stdout, "low ≤ 7; 50 starts in 1000 ms");
  assertEquals((await cli(["queue", "limit", "mails", "--rate", "50"])).code, 2);
  const none = ["--high", "none", "--low", "none", "--rate", "none"];
  assertEquals((await cli(["queue", "limit", "mails", ...none])).code, 0);
  assertEquals((await stores.jobQueue("mails").counts())?.rateLimit, null);
  assertEquals((await stores.jobQueue("mails").counts())?.limits, { high: null, normal: null, low: null });
});

Deno.test("queue result prints what a handler returned", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const queue = stores.jobQueue("reports");
  await queue.publish(1, { id: "r1", keepResult: 60_000 });
  await using _worker = queue.consume(() => ({ rows: [1, 2] }));
  await queue.waitFor("r1", { timeout: 60_000 });
  assertEquals((await cli(["queue", "result", "reports", "r1"])).stdout, '{"rows":[1,2]}\n');
  assertEquals((await cli(["queue", "result", "reports", "r2"])).code, 1);
});

Deno.test("kv history lists the revisions of a key, the oldest first", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const bucket = stores.kvBucket("plans", { history: 5 });
  await bucket.put("a", "one");
  await bucket.put("a", "two");
  await bucket.delete("a");
  const listed = records(await cli(["kv", "history", "--bucket", "plans", "a", "--json"]));
  assertEquals(listed.map(({ operation, value }) => [operation, value]), [["put", "one"], ["put", "two"], [
    "delete",
    "",
  ]]);
  assertMatch(
    (await cli(["kv", "history", "--bucket", "plans", "a"])).stdout,
    /REVISION +OPERATION.*\n +1 +put .*one\n/,
  );
  assertEquals((await cli(["kv", "history", "--bucket", "plans", "b"])).code, 1);
});

Deno.test("metrics prints the counts of all queues as Prometheus reads them", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await stores.jobQueue("mails").publish(1, { priority: "high" });
  await stores.jobQueue("mails").publish(2, { delay: 3_600_000 });
  await stores.jobQueue("reports").open();
  await stores.jobQueue("reports").pause();
  const { stdout } = await cli(["metrics"]);
  const lines = stdout.trimEnd().split("\n");
  for (
    const line of [
      "# TYPE supercheck_queue_waiting_jobs gauge",
      'supercheck_queue_waiting_jobs{queue="mails",priority="high"} 1',
      'supercheck_queue_waiting_jobs{queue="mails",priority="normal"} 0',
      'supercheck_queue_delayed_jobs{queue="mails"} 1',
      'supercheck_queue_dead_letters{queue="mails"} 0',
      'supercheck_queue_paused{queue="mails",priority="low"} 0',
      'supercheck_queue_paused{queue="reports",priority="low"} 1',
      "# TYPE supercheck_queue_ended_total counter",
    ]
  ) assert(lines.includes(line), `${line} in\n${stdout}`);
  assert(
    lines.every((line) => /^(# (HELP|TYPE) \w+ .+|\w+\{\w+="[^"\n]*"(,\w+="[^"\n]*")*\} [\d.]+)$/.test(line)),
    stdout,
  );
});

Deno.test("top shows queues until it is interrupted, with how many jobs end", async () => {
  await using nats = await startCli();
  const { start, stores } = nats;
  const queue = stores.jobQueue<number>("mails");
  await queue.publish(0, { delay: 3_600_000 });
  await using command = start(["top", "--interval", "100ms", "--json"]);
  await command.until(({ json }) => json.length > 1 && json.at(-1)?.rate === 0);
  await using _worker = queue.consume(() => {});
  await queue.publish(1);
  await command.until(({ json }) => json.some(({ rate }) => (rate as number) > 0));
  await command.until(({ json }) => json.at(-1)?.workers === 1);
  command.kill("SIGINT");
  assertEquals(await command.end(), 0);
});

Deno.test("--version prints the version of the library", async () => {
  await using nats = await startCli();
  assertEquals((await nats.cli(["--version"])).stdout, `${config.version}\n`);
});
