import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { runDeno } from "../_support/run_deno.ts";
import { testFrom } from "../_support/test_from.ts";

const ROOT = new URL("../../", import.meta.url);

// Without a server the examples run among all other tests: `deno task test` has `--doc`. Some make schedules.
testFrom("2.14")("the examples run against a server, and those of README.md print what they say", async () => {
  await using server = await startNatsServer();
  const run = await runDeno(
    ["test", "-A", "--doc", "--no-check", "--preload=tests/gate/_close_after_example.ts", "README.md", "mod.ts", "src"],
    { cwd: ROOT, env: { SUPERCHECK_NATS_URL: server.url } },
  );
  assertEquals(run.code, 0, run.stdout + run.stderr);

  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const said = [...readme.matchAll(/^ *console\.log\(.*\); \/\/ (.+)$/gm)].map(([, text]) => text);
  assert(said.length > 0);
  let rest = run.stdout.split("\n");
  for (const line of said) {
    assert(rest.includes(line), `README.md says that an example prints "${line}"; printed was:\n${run.stdout}`);
    rest = rest.slice(rest.indexOf(line) + 1);
  }
});
