import { assert, assertEquals, assertMatch } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { hasTerminal } from "./_commands.ts";
import { records, startCli } from "./_cli.ts";

Deno.test("queue ls lists the queues with their counts: as a table, as JSON", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  assertEquals(await cli(["queue", "ls"]), { code: 0, stdout: "", stderr: "No queues.\n" });
  assertEquals(await cli(["queue", "ls", "--json"]), { code: 0, stdout: "", stderr: "" });
  const failed = Promise.withResolvers<void>();
  await stores.publishJob("mails", {}, { maxAttempts: 1 });
  const consumer = await stores.consumeJobs("mails", () => {
    failed.resolve();
    throw new Error("no luck");
  });
  await failed.promise;
  await consumer?.stop();
  for (const priority of ["high", "normal", "low"] as const) await stores.publishJob("checks", {}, { priority });
  await stores.publishJob("checks", {}, { delay: 60_000 });
  const { code, stdout, stderr } = await cli(["queue", "ls"]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(
    stdout,
    /^QUEUE +READY +OLDEST +ACTIVE +DELAYED +DEAD\nchecks +3 +[\d.]+ \w+ +0 +1 +0\nmails +0 +– +0 +0 +1\n$/,
  );
  const listed = records(await cli(["queue", "ls", "--json"]));
  assertEquals(listed.map(({ queue, ready, delayed, dead }) => [queue, ready, delayed, dead]), [
    ["checks", { high: 1, normal: 1, low: 1, keyed: 0 }, 1, 0],
    ["mails", { high: 0, normal: 0, low: 0, keyed: 0 }, 0, 1],
  ]);
});

Deno.test("queue ls --watch shows new and removed queues, also over a restart of the server, until it is interrupted", async () => {
  await using nats = await startCli();
  const { stores, server } = nats;
  await using watch = nats.start(["queue", "ls", "--watch", "--interval", "50ms"]);
  await watch.until(({ stdout }) => stdout.includes("No queues."));
  await stores.publishJob("checks", {});
  await watch.until(({ stdout }) => /^checks +1 /m.test(stdout));
  await server.stop();
  await watch.until(({ stdout }) => /^checks +– /m.test(stdout));
  await server.restart();
  await waitUntil(async () => await stores.publishJob("mails", {}) !== null);
  await watch.until(({ stdout }) => /^checks +1 .*\nmails +1 /m.test(stdout));
  watch.kill("SIGINT");
  assertEquals(await watch.end(), 0);
});

Deno.test({
  name: "queue ls --watch draws the table anew on a terminal, and leaves what it saw last",
  ignore: !hasTerminal,
  fn: async () => {
    await using nats = await startCli();
    await using watch = nats.start(["queue", "ls", "--watch", "--interval", "50ms"], { terminal: true });
    await watch.until(({ stdout }) => stdout.includes("No queues."));
    await nats.stores.publishJob("checks", {});
    await watch.until(({ stdout }) => /checks +1 /.test(stdout));
    await watch.write("\x03");
    assertEquals(await watch.end(), 0);
    const [title, last] = watch.stdout.split("\r\n").slice(-3);
    assert(title.includes("\x1b[2mREADY"), title);
    assertMatch(last, /^checks +1 /);
  },
});

Deno.test("queue peek shows the first jobs, the most urgent first, and leaves them there", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const queue = stores.jobQueue("mails");
  await queue.publish({ to: "ann\n\x1b[31m" }, { id: "one" });
  await queue.publish({ to: "bob".repeat(100) }, { id: "two", priority: "high" });
  await queue.publish(3, { id: "three", priority: "low" });
  await queue.publish("later", { id: "four", delay: 3_600_000 });
  await queue.publish({ to: "eve" }, { id: "five", key: "eve" });
  const peek = (...args: string[]) => cli(["queue", "peek", "mails", ...args]);

  const [title, two, one, three] = (await peek()).stdout.split("\n");
  assertMatch(title, /^ID +STATE +PRIORITY +ATTEMPT +AGE +DATA$/);
  assertMatch(two, /^two +ready +high +1 +[\d.]+ m?s +\{"to":"bobbob[ob]+…$/);
  assertMatch(one, /^one +ready +normal +1 +[\d.]+ m?s +\{"to":"ann\\n\\u001b\[31m"\}$/);
  assertMatch(three, /^three +ready +low +1 +[\d.]+ m?s +3$/);

  const first = await peek("--limit", "1", "--priority", "normal");
  assertMatch(first.stdout, /^ID .+\none .+\n$/);
  assertEquals(first.stderr, "Only the first 1: --limit shows more.\n");
  assertMatch(
    (await peek("--delayed")).stdout,
    /^ID +STATE +DUE .+\nfour +delayed +20[\d-]+ [\d:]+ +normal .+ "later"\n$/,
  );
  const keyed = records(await peek("--keyed", "--json"));
  assertEquals(keyed.map(({ id, state, data }) => [id, state, data]), [["five", "ready", { to: "eve" }]]);
  assertEquals(records(await peek("--json")).map(({ id }) => id), ["two", "one", "three"]);
  assertEquals((await queue.counts())?.ready, { high: 1, normal: 1, low: 1, keyed: 1 });
});

Deno.test("queue peek says in exit codes and on standard error why there is nothing", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await stores.jobQueue("empty").open();
  assertEquals(await cli(["queue", "peek", "empty"]), { code: 0, stdout: "", stderr: "No waiting jobs.\n" });
  assertEquals((await cli(["queue", "peek", "empty", "--delayed"])).stderr, "No delayed jobs.\n");
  assertEquals(await cli(["queue", "peek", "nowhere", "--json"]), {
    code: 1,
    stdout: "",
    stderr: "error: there is no queue nowhere\n",
  });
  const wrong = await cli(["queue", "peek", "empty", "--keyed", "--priority", "low"]);
  assertEquals(wrong.code, 2);
  assertMatch(wrong.stderr, /option '--keyed' cannot be used with option '--priority <priority>'/);
});

Deno.test("kv ls --buckets and object ls --buckets list the names of the buckets", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  assertEquals(await cli(["kv", "ls", "--buckets"]), { code: 0, stdout: "", stderr: "No buckets.\n" });
  await stores.storeKV("k", "v");
  await stores.kvBucket("flags").put("k", "v");
  await stores.storeHealthcheck("https://a", "{}");
  assertEquals((await cli(["kv", "ls", "--buckets"])).stdout, "flags\nsupercheck_kv\n");
  assertEquals(records(await cli(["object", "ls", "--buckets", "--json"])), [{ bucket: "supercheck" }]);
  for (
    const args of [["kv", "ls", "a.>"], ["kv", "ls", "--long"], ["kv", "ls", "-b", "flags"], ["object", "ls", "-q"]]
  ) {
    assertEquals([args, (await cli([...args, "--buckets"])).code], [args, 2]);
  }
});
