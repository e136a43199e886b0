import { assert, assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { runDeno } from "../_support/run_deno.ts";
import { Proxy } from "../_support/proxy.ts";
import { Relay } from "../_support/relay.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { hasTerminal, run, start } from "./_commands.ts";
import { records, startCli } from "./_cli.ts";

const test = testFrom("2.14");

test("status prints the server, its features and the round trip", async () => {
  await using nats = await startCli();
  const { cli, server } = nats;
  const [status] = records(await cli(["status", "--json"]));
  assertEquals([status.connected, status.version, status.serverName, status.jetstream], [
    true,
    server.version,
    server.name,
    true,
  ]);
  assert(Number(status.roundTrip) > 0 && Number(status.roundTrip) < 5_000);
  const available = (status.features as { available: boolean }[]).map(({ available }) => available);
  assertEquals(available, [true, true, true]);
  const { stdout } = await cli(["status"]);
  assertMatch(stdout, /^● NATS [\d.]+ at 127\.0\.0\.1:\d+( \(2\.15\.0 or newer is recommended\))?\n/);
  assertEquals(stdout.includes("is recommended"), /^2\.1[0-4]\./.test(server.version));
  assertMatch(stdout, /round trip +[\d.]+ ms\n/);
  assert(!stdout.includes("\x1b"));
});

Deno.test("status needs no permission but --allow-net", async () => {
  await using server = await startNatsServer();
  const main = new URL("../../src/cli/main.ts", import.meta.url);
  const args = [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-check",
    `--allow-net=127.0.0.1:${server.port}`,
    main.pathname,
    "status",
  ];
  const { code, stderr } = await runDeno([...args, "--server", server.url], { cwd: new URL(".", main) });
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("status says that JetStream is off, and ends with 1", async () => {
  await using server = await startNatsServer({ jetstream: false });
  const { code, stdout, stderr } = await run("main.ts", ["status", "--server", server.url]);
  assertEquals(code, 1);
  assertMatch(stdout, /JetStream +off/);
  assertMatch(stderr, /JetStream is off/);
});

Deno.test("status --watch continues while the server is down", async () => {
  await using nats = await startCli();
  await using watch = nats.start(["status", "--watch", "--interval", "50ms", "--json"]);
  await watch.until(({ json }) => json.at(-1)?.connected === true);
  await nats.server.kill();
  await watch.until(({ json }) => json.at(-1)?.connected === false);
  await using late = nats.start(["status", "--watch", "--interval", "50ms", "--json"]);
  await late.until(({ json }) => json.at(-1)?.connected === false);
  await nats.server.restart();
  for (const each of [watch, late]) {
    await each.until(({ json }) => json.at(-1)?.connected === true);
    each.kill("SIGINT");
    assertEquals(await each.end(), 0);
  }
  assertMatch(watch.stderr, /Disconnected from NATS at[^]+Reconnected/);
});

Deno.test({
  name: "queue counts --watch draws one table in colours on a terminal, which stays when Ctrl-C ends it",
  ignore: !hasTerminal,
  fn: async () => {
    await using nats = await startCli();
    await nats.stores.publishJob("checks", {});
    await using watch = nats.start(["queue", "counts", "checks", "-w", "-i", "50ms"], { terminal: true });
    await watch.until(({ stdout }) => stdout.includes("\x1b[2mQUEUE "));
    await nats.stores.publishJob("checks", {});
    await watch.until(({ stdout }) => /checks +0 +2 /.test(stdout));
    await watch.write("\x03");
    assertEquals(await watch.end(), 0);
    assertMatch(watch.stdout.slice(watch.stdout.lastIndexOf("\x1b[J")), /QUEUE[^]+checks +0 +2 /);
  },
});

Deno.test("every command ends with 3 when there is no connection", async () => {
  const commands = [
    ["status"],
    ["kv", "get", "a"],
    ["object", "ls"],
    ["queue", "publish", "checks", "1"],
    ["queue", "counts", "checks", "--watch"],
  ];
  await Promise.all(commands.map(async (args) => {
    const { code, stdout, stderr } = await run("main.ts", [...args, "--server", "127.0.0.1:1"]);
    assertEquals([args, code, stdout], [args, 3, ""]);
    assertMatch(stderr, /^error: NATS at 127\.0\.0\.1:1 is unreachable \(.+\); --server names another server\n$/);
  }));
  const { code, stderr } = await run("main.ts", ["status", "--server", ""]);
  assertEquals(code, 3);
  assertMatch(stderr, /^error: No NATS server is configured \(.+\); --server names another server\n$/);
});

Deno.test("a command ends with 3 when the server refuses it, and takes credentials from the environment", async () => {
  await using server = await startNatsServer({ auth: { user: "ann", password: "right" } });
  const refused = await run("main.ts", ["kv", "ls", "--server", server.url.replace("//", "//ann:secret@")]);
  assertEquals(refused.code, 3);
  assert(!refused.stderr.includes("secret"), refused.stderr);
  const env = { SUPERCHECK_NATS_USER: "ann", SUPERCHECK_NATS_PASSWORD: "right" };
  assertEquals((await run("main.ts", ["status", "--server", server.url], { env })).code, 0);
});

Deno.test("a command ends with 3 when the server does not answer, and says what is done by then", async () => {
  await using nats = await startCli();
  // The confirmation of the last job is lost, again and again.
  await using proxy = new Proxy(nats.server.url, { drop: (_, body) => /"seq": ?501\b|sequence: 501\b/.test(body) });
  const { code, stdout, stderr } = await nats.cli(["queue", "publish", "checks", "--lines", "--timeout", "10s"], {
    env: { SUPERCHECK_NATS_URL: proxy.url },
    input: "1\n".repeat(501),
  });
  assertEquals([code, stdout], [3, ""]);
  assertEquals(
    stderr,
    "error: line 501 is not confirmed: no answer from NATS; 500 jobs published, all up to line 500; those up to line 501 may be, too\n",
  );
});

Deno.test("--timeout goes for connecting, too, and may be longer than a timer", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  relay.hold("down");
  await using command = start("main.ts", ["status", "--json", "--timeout", "30d"], {
    env: { SUPERCHECK_NATS_URL: relay.url },
  });
  await waitUntil(async () => Number((await server.monitor("/varz"))?.total_connections) > 0);
  // Longer than a service waits for its first connection.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  relay.release("down");
  assertEquals([await command.end(), command.json[0]?.connected], [0, true], command.stderr);
});

Deno.test("what is wrong with the command line ends with 2, and nothing is done", async () => {
  await using nats = await startCli();
  const wrong: [string[], RegExp][] = [
    [[], /^Usage: cli/],
    [["kv"], /^Usage: cli kv/],
    [["kv", "gte", "a"], /unknown command 'gte'\n\(Did you mean get\?\)/],
    [["kv", "get"], /missing required argument 'key'/],
    [
      ["kv", "get", "a", "-b", "no bucket"],
      /its name must be 1 to 64 of A-Z a-z 0-9 _ -: current value is "no bucket"/,
    ],
    [["kv", "put", "a", "b", "--ttl", "soon"], /'soon' is invalid. It must be a duration > 0/],
    [["kv", "put", "a", "b", "--create", "--revision", "1"], /cannot be used with option/],
    [["kv", "put", "", "b"], /'key' must not be empty/],
    [["kv", "ls", "a.>.b"], /must have '>' at its end only/],
    [["queue", "publish", "checks", "nonsense"], /the data is not JSON: .+: '"nonsense"'/],
    [["queue", "publish", "checks", "1", "--priority", "urgent"], /Allowed choices are high, normal, low/],
    [["queue", "publish", "checks", "1", "--run-at", "tomorrow"], /It must be a moment like/],
    [["queue", "redrive", "checks"], /give ids, --all, or which ones with --match-…/],
    [
      ["status", "--server", "nats://ann:secret,secret@127.0.0.1"],
      /each of --server must look like nats:\/\/host:port/,
    ],
    [["status", "--server", "http://ann:secret@127.0.0.1"], /each of --server must look like nats:\/\/host:port/],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await nats.cli(args);
    assertEquals([args, code, stdout], [args, 2, ""], stderr);
    assertMatch(stderr, message);
    assert(!stderr.includes("secret"));
  }
  assertEquals((await nats.server.monitor("/jsz"))?.streams, 0);
});

Deno.test("Ctrl-C ends a command that waits for the rest of its input, of which nothing is stored", async () => {
  await using nats = await startCli();
  const commands = [["kv", "put", "a"], ["queue", "publish", "checks"], ["queue", "publish", "checks", "--lines"]];
  await Promise.all(commands.map(async (args) => {
    await using command = nats.start(args);
    // More than a pipe holds: the command has begun to read.
    await command.write("1".repeat(200_000));
    command.kill("SIGINT");
    assertEquals([args, await command.end()], [args, 130]);
  }));
  assertEquals((await nats.server.monitor("/jsz"))?.streams, 0);
});

Deno.test("help teaches every command with an example", async () => {
  const help = async (...args: string[]) => {
    const { code, stdout } = await run("main.ts", [...args, "--help"]);
    assertEquals([args, code], [args, 0]);
    assertMatch(stdout, new RegExp(`^Examples?:\\n +.*cli ${args.join(" ")}`, "m"));
    return stdout;
  };
  await help("status");
  for (const group of ["kv", "object", "queue"]) {
    const [, commands] = /\nCommands:\n([^]+?)\n\n/.exec(await help(group)) ?? [];
    const names = [...commands.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name).filter((name) => name !== "help");
    assert(names.length >= 4, commands);
    await Promise.all(names.map((name) => help(group, name)));
  }
});
