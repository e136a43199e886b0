import { assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { run } from "./_commands.ts";

Deno.test("commands use SUPERCHECK_NATS_DOMAIN: over a leafnode without JetStream of its own", async () => {
  const port = freePort();
  await using hub = await startNatsServer({
    jetstream: "domain: hub",
    config: `leafnodes { listen: "127.0.0.1:${port}" }`,
  });
  await using leaf = await startNatsServer({
    jetstream: false,
    config: `leafnodes { remotes: [{ url: "nats-leaf://127.0.0.1:${port}" }] }`,
  });
  await waitUntil(async () => Number((await hub.monitor("/leafz"))?.leafnodes) > 0);
  const cli = (args: string[], domain = "hub") =>
    run("main.ts", args, { env: { SUPERCHECK_NATS_URL: leaf.url, SUPERCHECK_NATS_DOMAIN: domain } });
  const put = await cli(["kv", "put", "k", "v", "-b", "plans"]);
  assertEquals([put.code, put.stderr], [0, "Making bucket plans.\n"]);
  assertEquals((await cli(["kv", "get", "k", "-b", "plans"])).stdout, "v");
  const status = await cli(["status"]);
  assertEquals(status.code, 0, status.stderr);
  assertMatch(status.stdout, /JetStream\s+\$JS\.hub\.API/);
  const wrong = await cli(["status"], "a.b");
  assertEquals(wrong.code, 2);
  assertMatch(wrong.stderr, /SUPERCHECK_NATS_DOMAIN must be one token of a subject/);
});
