import { assertEquals } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { records, startCli } from "./_cli.ts";

Deno.test("--dry-run says what would be destroyed, and destroys nothing", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const queue = stores.jobQueue("mails");
  const worker = queue.consume(() => {
    throw new Error("no route");
  }, { maxAttempts: 1 });
  for (const id of ["dead 1", "dead 2"]) await queue.publish(1, { id });
  await waitUntil(() => worker.status().ended.dead === 2);
  await worker.stop();
  await queue.publish(1, { id: "a" });
  await stores.kvBucket("plans").put("basic", "9");
  await stores.objectBucket("reports").put("a.txt", "text");
  const said: [string[], string][] = [
    [["kv", "del", "--bucket", "plans", "basic"], 'delete key "basic" from bucket plans'],
    [["object", "rm", "--bucket", "reports", "a.txt"], 'delete object "a.txt" (4 B) from bucket reports'],
    [["queue", "cancel", "mails", "a", "none"], 'cancel job "a" in queue mails'],
    [["queue", "cancel", "mails", "--match-id", "a"], "cancel 1 job of queue mails"],
    [["queue", "purge", "mails"], "remove 1 job from queue mails"],
    [["queue", "purge", "mails", "--destroy"], "remove queue mails with 1 job, 2 dead letters, schedules and results"],
    [["queue", "discard", "mails", "--all"], "remove 2 dead letters of queue mails for good"],
    [["queue", "discard", "mails", "dead 1"], "remove 1 dead letter of queue mails for good"],
    [["queue", "redrive", "mails", "--all"], "make 2 dead letters of queue mails jobs again"],
    [["queue", "redrive", "mails", "--match-reason", "route"], "make 2 dead letters of queue mails jobs again"],
  ];
  for (const [args, what] of said) {
    const { code, stdout, stderr } = await cli([...args, "--dry-run", "--yes"]);
    assertEquals({ code, stdout, stderr }, { code: 0, stdout: `would ${what}\n`, stderr: "" }, args.join(" "));
  }
  const [record] = records(await cli(["queue", "purge", "mails", "--dry-run", "--json"]));
  assertEquals(record, { dryRun: true, would: "remove 1 job from queue mails" });
  const { ready, dead } = (await queue.counts())!;
  assertEquals([ready.normal, dead], [1, 2]);
  assertEquals((await stores.kvBucket("plans").get("basic"))?.text(), "9");
  assertEquals(await stores.objectBucket("reports").getText("a.txt"), "text");
  assertEquals((await cli(["queue", "publish", "mails", "1", "--dry-run"])).code, 2, "refused where it has no meaning");
});
