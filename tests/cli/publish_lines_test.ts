import { assert, assertEquals, assertMatch } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { startCli } from "./_cli.ts";

const lines = (from: number, to: number, data = (n: number): unknown => ({ n })) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${JSON.stringify(data(from + i))}\n`).join("");

const ARGS = ["queue", "publish", "many", "--lines"];

Deno.test("queue publish --lines names the line that is too large, after those before it are published", async () => {
  await using nats = await startCli();
  const input = `${lines(1, 3)}\n${JSON.stringify("x".repeat(2_000_000))}\n${lines(6, 9)}`;
  const { code, stdout, stderr } = await nats.cli(ARGS, { input });
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^error: line 5: Cannot publish the job as its data and headers must be ≤ \d+ bytes/);
  assertMatch(stderr, /; 3 jobs published, all up to line 3\n$/);
  assertEquals((await nats.stores.jobQueue("many").counts())?.ready.normal, 3);
});

Deno.test("queue publish --lines says how many jobs are published when it is interrupted", async () => {
  await using nats = await startCli();
  await using command = nats.start(ARGS);
  await command.write(lines(1, 500));
  const queue = nats.stores.jobQueue("many");
  await waitUntil(async () => (await queue.counts())?.ready.normal === 500);
  await command.write(lines(501, 600));
  command.kill("SIGINT");
  assertEquals(await command.end(), 130);
  // The confirmations may have been under way.
  const [, published] = /^interrupted: (\d+) jobs? published/m.exec(command.stderr) ?? [];
  assert(Number(published) <= 500, command.stderr);
  assertEquals((await queue.counts())?.ready.normal, 500);
});

Deno.test("queue publish --lines names the first line that is not confirmed, and ends with 3", async () => {
  await using nats = await startCli();
  await using command = nats.start([...ARGS, "--timeout", "10s"]);
  await command.write(lines(1, 500));
  await waitUntil(async () => (await nats.stores.jobQueue("many").counts())?.ready.normal === 500);
  await nats.server.kill();
  await command.write(lines(501, 520));
  await command.closeInput();
  assertEquals(await command.end(), 3);
  const told = /^error: line (\d+)(?: is| and \d+ more are) not confirmed: no answer from NATS; (\d+) jobs? published/m;
  const [, first, published] = told.exec(command.stderr) ?? [];
  assert(Number(first) >= 1 && Number(published) >= Number(first) - 1, command.stderr);
  assertMatch(command.stderr, /those up to line (500|520) may be, too/);
});

Deno.test("queue publish --lines says that nothing is published when the first line is wrong, or an option", async () => {
  await using nats = await startCli();
  const nonsense = await nats.cli(ARGS, { input: "nonsense\n" });
  assertEquals(nonsense.code, 1);
  assertMatch(nonsense.stderr, /line 1 is not JSON: .+; nothing is published/);
  const both = await nats.cli([...ARGS, "--key", "k", "--delay", "5s"], { input: lines(1, 3) });
  assertMatch(
    both.stderr,
    /line 1: Cannot publish the job as 'key' must not come with 'delay'.+; nothing is published/,
  );
  assert(both.code !== 0);
  assertEquals(await nats.stores.jobQueue("many").counts(), null);
});

Deno.test("queue publish --lines reads a long line in time that grows with its length", async () => {
  await using nats = await startCli();
  await using command = nats.start(ARGS);
  const part = "x".repeat(1_048_576);
  await command.write('"');
  for (let i = 0; i < 70; i++) await command.write(part);
  await command.write('"\n');
  await command.closeInput();
  assertEquals(await command.end(), 1);
  assertMatch(command.stderr, /line 1 has more than 64\.0 MiB; nothing is published/);
});
