import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { makeCertificates } from "../_support/make_certificates.ts";
import { hasTerminal, run, start } from "./_commands.ts";
import { startService } from "./_services.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

const ESCAPE = "\x1b";

Deno.test("demo without arguments checks its own services on its own nats-server, and leaves nothing behind", async () => {
  const directory = await Deno.makeTempDir();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }) };
  const { code, stdout, stderr } = await run("demo.ts", ["--timeout", "5000"], { env: { TMPDIR: directory } });
  assertEquals(code, 0, stderr);
  for (
    const line of [
      /\/fast +● up +200 OK +[\d.]+ ms +1 +1 of 1 +\{"status":"ok"\}/,
      /\/slow +● up +200 OK +(?:[3-9]\d\d|[1-4]\d{3}) ms/,
      /\/flapping +● up +200 OK +[\d.]+ ms +2 +1 of 1/,
      /\/failing +✗ down +503 Service Unavailable +[\d.]+ ms +2 +0 of 1/,
      /\/silent +✗ down +no answer within 5000 ms +– +2 +0 of 1/,
      /5 jobs +publishJobs +stream WQ_demo_\w+/,
      /5 results +storeHealthcheck +object bucket supercheck/,
      /5 states .+ supercheck_kv/,
      /SUPERCHECK_NATS_URL=localhost deno task demo/,
    ]
  ) assertMatch(stdout, line);
  assertMatch(stderr, /5 of 5: /);
  assert(!(stdout + stderr).includes(ESCAPE), "Colours are for terminals");
  assertEquals([...Deno.readDirSync(directory)], []);
});

Deno.test("demo --json checks the URLs it is given through the server of SUPERCHECK_NATS_URL, and counts on from run to run", async () => {
  await using server = await startNatsServer();
  await using service = startService();
  const args = [`${service.url}/up`, `${service.url}/gone`, "http://unknown.invalid/", "--json", "--timeout", "30000"];
  const env = { SUPERCHECK_NATS_URL: server.url };
  assertEquals((await run("demo.ts", args, { env })).code, 0);
  const { code, stdout, stderr } = await run("demo.ts", args, { env });
  assertEquals([code, stderr], [0, ""]);
  const { round, nats, checks } = JSON.parse(stdout);
  assertEquals({ round, nats }, {
    round: 1,
    nats: { server: server.url.slice("nats://".length), version: server.version, private: false },
  });
  assertEquals(
    checks.map((check: Record<string, unknown>) => [
      check.state,
      check.status,
      check.error,
      check.body,
      check.attempt,
      check.stored,
      check.lastState,
      check.counters,
    ]),
    [
      ["up", 200, null, "All is\uFFFD[31m well", 1, true, "up", { checks: 2, up: 2 }],
      ["down", 503, null, "no database", 2, true, "down", { checks: 2, up: 0 }],
      ["down", null, "unknown host name", "", 2, true, "down", { checks: 2, up: 0 }],
    ],
  );
  await using stores = new JetStreamStores({
    servers: server.url,
    connectTimeout: TIMEOUT_MS,
    logger: { info() {}, warn() {}, error() {} },
  });
  const loaded = JSON.parse(await stores.loadHealthcheck(args[0]) ?? "null");
  assertEquals([loaded.url, loaded.state], [args[0], "up"]);
  assertEquals(await stores.loadKV(`demo.state.${args[1]}`), { key: `demo.state.${args[1]}`, val: "down" });
  const { streams } = await server.monitor("/jsz") ?? {};
  assertEquals(streams, 2, "the queues are gone, the two buckets stay");
});

Deno.test("demo prints when a certificate expires, also an untrusted one", async () => {
  await using server = await startNatsServer();
  await using certificates = await makeCertificates();
  const [cert, key] = [certificates.cert, certificates.key].map((path) => Deno.readTextFileSync(path));
  await using service = startService({ cert, key });
  const env = { SUPERCHECK_NATS_URL: server.url };
  const url = `${service.url}/up`;
  const untrusted = await run("demo.ts", [url, "--json"], { env });
  const trusted = await run("demo.ts", [url, "--json"], { env: { ...env, DENO_CERT: certificates.ca } });
  const [bad, good] = [untrusted, trusted].map(({ stdout }) => JSON.parse(stdout).checks[0]);
  assertEquals([bad.state, good.state], ["down", "up"]);
  assertMatch(bad.error, /certificate/);
  for (const { tlsExpires } of [bad, good]) {
    const days = (Date.parse(tlsExpires) - Date.now()) / 86_400_000;
    assert(days > 1.9 && days <= 2, tlsExpires);
  }
});

Deno.test("demo --watch continues while the nats-server is killed, and stores again once it is restarted", async () => {
  await using server = await startNatsServer();
  await using service = startService();
  const args = ["--watch", "--json", "--interval", "50", `${service.url}/up`, `${service.url}/down`];
  await using demo = start("demo.ts", args, { env: { SUPERCHECK_NATS_URL: server.url } });
  const rounds = (from: number, stored: boolean) => () =>
    demo.json.findLast(({ round, checks }) =>
      Number(round) > from && (checks as { stored: boolean }[]).every((check) => check.stored === stored)
    );
  const before = await demo.until(rounds(0, true));
  await server.kill();
  const without = await demo.until(rounds(Number(before.round), false));
  assertEquals([without.nats, (without.checks as { state: string }[]).map(({ state }) => state)], [null, [
    "up",
    "down",
  ]]);
  await demo.until(({ stderr }) => stderr.includes("Disconnected from NATS"));
  await server.restart();
  const after = await demo.until(rounds(Number(without.round), true));
  await demo.until(({ stderr }) => stderr.includes("Reconnected to NATS"));
  assert((after.checks as { counters: { checks: number } }[])[0].counters.checks > 1);
  demo.kill("SIGINT");
  assertEquals(await demo.end(), 0);
  await using stores = new JetStreamStores({
    servers: server.url,
    connectTimeout: TIMEOUT_MS,
    logger: { info() {}, warn() {}, error() {} },
  });
  assertEquals((await server.monitor("/jsz"))?.streams, 2, "the queue is gone");
  assertEquals((await stores.loadKV(`demo.state.${service.url}/down`))?.val, "down");
});

Deno.test("demo --watch starts its own nats-server again after it was killed", async () => {
  await using service = startService();
  await using demo = start("demo.ts", ["--watch", "--interval", "50", `${service.url}/up`]);
  const pid = await demo.until(({ stdout, stderr }) => stdout.includes("1 of 1") && /process (\d+)/.exec(stderr)?.[1]);
  const [, page] = /Dashboard +(http:\/\/127\.0\.0\.1:\d+\/)/.exec(demo.stderr) ?? [];
  const checks = await (await fetch(`${page}checks`)).text();
  assertStringIncludes(checks, `${service.url}/up`);
  Deno.kill(Number(pid), "SIGKILL");
  await demo.until(({ stdout }) => / up .+ no /.test(stdout));
  await demo.until(({ stdout, stderr }) =>
    stderr.includes("Reconnected") && / up .+ \d+ of \d+ /.test(stdout.slice(stdout.lastIndexOf("Round")))
  );
  demo.kill("SIGTERM");
  assertEquals(await demo.end(), 0);
  assertMatch(demo.stdout, /What came from where/);
});

Deno.test({
  name: "demo in a terminal shows a live table in colours, and ends with Ctrl-C",
  ignore: !hasTerminal,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }) };
    await using demo = start("demo.ts", ["--watch"], { terminal: true, env: { TMPDIR: directory } });
    await demo.until(({ stdout }) => stdout.includes("\x1b[36masking"));
    await demo.until(({ stdout }) => stdout.includes("\x1b[32m● up") && stdout.includes("\x1b[31m✗ down"));
    await demo.until(({ stdout }) => stdout.includes("Round 1, the next in 2 s. Ctrl-C ends."));
    const seen = demo.stdout.length;
    await demo.write("\x03");
    assertEquals(await demo.end(), 0);
    assertStringIncludes(demo.stdout.slice(seen), "What came from where");
    assert(!demo.stdout.includes("Disconnected from NATS at"));
    assertEquals([...Deno.readDirSync(directory)], []);
  },
});

Deno.test({
  name: "demo in a terminal is plain with NO_COLOR, and interrupted by Ctrl-C it ends with 130",
  ignore: !hasTerminal,
  fn: async () => {
    await using demo = start("demo.ts", ["--timeout", "60000"], { terminal: true, env: { NO_COLOR: "1" } });
    await demo.until(({ stdout }) => stdout.includes("asking"));
    await demo.write("\x03");
    assertEquals(await demo.end(), 130);
    assert(!demo.stdout.split(`${ESCAPE}[`).slice(1).some((rest) => /^\d+m/.test(rest)));
  },
});

Deno.test("demo checks without NATS too, says so and ends with 1", async () => {
  await using service = startService();
  const env = { SUPERCHECK_NATS_URL: "nats://127.0.0.1:1" };
  const { code, stdout, stderr } = await run("demo.ts", [`${service.url}/up`], { env });
  assertEquals(code, 1);
  assertMatch(stdout, /● up +200 OK .+ – +no/);
  assertMatch(stderr, /No connection to NATS: everything was checked, but nothing could be stored/);
});

Deno.test("demo ends with 1 when the server refuses it, and prints no password", async () => {
  await using server = await startNatsServer({ auth: { user: "ann", password: "correct" } });
  const env = { SUPERCHECK_NATS_URL: server.url.replace("//", "//ann:secret@") };
  const { code, stderr } = await run("demo.ts", ["http://127.0.0.1:1/"], { env });
  assertEquals(code, 1);
  assertMatch(stderr, /error: .*credentials/);
  assert(!stderr.includes("secret"));
});

Deno.test("demo ends without an error when the reader of its output ends", async () => {
  const path = new URL("../../src/cli/demo.ts", import.meta.url).pathname;
  const shell = new Deno.Command("sh", {
    args: [
      "-c",
      `"$0" run -A --no-check "$1" --watch --interval 1 http://127.0.0.1:1/ 2>/dev/null | head -n 1`,
      Deno.execPath(),
      path,
    ],
    env: { SUPERCHECK_NATS_URL: "", NO_COLOR: "1" },
    signal: AbortSignal.timeout(60_000),
  });
  const { stdout } = await shell.output();
  assertEquals(new TextDecoder().decode(stdout), "Round 1\n");
});

Deno.test("demo ends with 2 and says what is wrong with its arguments", async () => {
  const wrong: [string[], RegExp][] = [
    [["nonsense"], /a URL must begin with http:\/\/ or https:\/\/ .+ current value is "nonsense"/],
    [["example.com/health"], /did you mean https:\/\/example.com\/health \?/],
    [["http://a.example", "ftp://b.example"], /current value is "ftp:\/\/b.example"/],
    [["http://ann:secret@example.com/"], /must not hold a user or password.+ http:\/\/example.com\/\n/],
    [["--timeout", "soon"], /'soon' is invalid. It must be a whole number of milliseconds/],
    [["--interval", "0"], /'0' is invalid/],
    [["--concurrency", "-1"], /'-1' is invalid/],
    [["--wach"], /unknown option '--wach'\n\(Did you mean --watch\?\)/],
  ];
  await Promise.all(wrong.map(async ([args, message]) => {
    const { code, stdout, stderr } = await run("demo.ts", args);
    assertEquals([args, code, stdout], [args, 2, ""]);
    assertMatch(stderr, message);
    assert(!stderr.includes("secret"));
  }));
});

Deno.test("demo --help teaches with examples", async () => {
  const { code, stdout } = await run("demo.ts", ["--help"]);
  assertEquals(code, 0);
  assertMatch(stdout, /Examples:\n +deno task demo /);
  assert(stdout.split("\n").every((line) => line.length <= 81), "fits a terminal of 80 columns");
});
