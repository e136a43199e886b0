import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { makeCertificates } from "../_support/make_certificates.ts";
import { makeCredentials } from "../_support/make_credentials.ts";
import { runService } from "../_support/run_service.ts";

/** A service that uses each part once, as soon as it is connected: on a busy machine that takes longer than its first call waits. */
const WORK = `
  const { storeKV, loadKV, storeHealthcheck, loadHealthcheck, publishJob, consumeJobs, close } = jetstream;
  while (!await storeKV("first", "v"));
  console.log(await storeKV("k", "v"), (await loadKV("k"))?.val);
  console.log((await storeHealthcheck("https://a", "{}"))?.size, await loadHealthcheck("https://a"));
  const { promise, resolve } = Promise.withResolvers();
  const consumer = await consumeJobs("q", (job) => resolve(job.data));
  await publishJob("q", "done");
  console.log(await promise);
  await close();`;

const WORKED = { code: 0, stdout: "2 v\n2 {}\ndone\n" };

Deno.test("--allow-net=host:port is all that a service needs which names its servers", async () => {
  await using server = await startNatsServer();
  const host = `127.0.0.1:${server.port}`;
  const { stderr, ...run } = await runService(`await jetstream.connect({ servers: "${host}" });${WORK}`, {
    flags: [`--allow-net=${host}`, "--no-prompt"],
    env: { SUPERCHECK_NATS_URL: "127.0.0.1:1" },
  });
  assertEquals(run, WORKED, stderr);
});

Deno.test("a host name in --allow-net is enough for a service that names the host", async () => {
  await using server = await startNatsServer();
  const host = `localhost:${server.port}`;
  const { stderr, ...run } = await runService(WORK, {
    flags: [`--allow-net=${host}`, "--allow-env=SUPERCHECK_NATS_URL", "--no-prompt"],
    env: { SUPERCHECK_NATS_URL: host },
  });
  assertEquals(run, WORKED, stderr);
});

Deno.test("--allow-env may be given for one variable: the others count as unset", async () => {
  await using server = await startNatsServer();
  const host = `127.0.0.1:${server.port}`;
  const { stderr, ...run } = await runService(WORK, {
    flags: [`--allow-net=${host}`, "--allow-env=SUPERCHECK_NATS_URL", "--no-prompt"],
    env: { SUPERCHECK_NATS_URL: host, SUPERCHECK_NATS_TOKEN: "unused", SUPERCHECK_NATS_KV_TTL_SECS: "malformed" },
  });
  assertEquals(run, WORKED, stderr);
});

Deno.test("--allow-read is needed for the files of credentials and certificates, and for nothing else", async () => {
  await using certificates = await makeCertificates();
  const { ca, cert, key } = certificates;
  const { auth, creds } = await makeCredentials();
  const path = ca.replace("ca.pem", "user.creds");
  await Deno.writeFile(path, creds);
  await using server = await startNatsServer({ auth, tls: { cert, key } });
  const host = `127.0.0.1:${server.port}`;
  const env = { SUPERCHECK_NATS_URL: host, SUPERCHECK_NATS_TLS_CA: ca, SUPERCHECK_NATS_CREDS: path };
  const flags = [`--allow-net=${host}`, `--allow-env=${Object.keys(env)}`, "--no-prompt"];
  const { stderr, ...run } = await runService(WORK, { flags: [...flags, `--allow-read=${ca},${path}`], env });
  assertEquals(run, WORKED, stderr);
  const without = await runService(
    `await jetstream.connect().catch(({ code, message }) => console.log(code, message));`,
    { flags: [...flags, `--allow-read=${ca}`], env },
  );
  assertEquals(
    without.stdout,
    `net_permission The runtime does not allow to read the file ${path}: run with --allow-read=${path}\n`,
  );
});

const ASK = `
  console.log(await jetstream.loadKV("k"), jetstream.connectionStatus());
  await jetstream.connect({ servers: "127.0.0.1:4222" }).catch(({ name, code }) => console.log(name, code));`;

for (const flags of [[], ["--allow-net=127.0.0.1:1"], ["--allow-net", "--deny-net=127.0.0.1:4222"]]) {
  Deno.test(`without a permission for the server calls are null, and connect() names it: ${flags.join(" ")}`, async () => {
    const { code, stdout, stderr } = await runService(ASK, {
      flags: [...flags, "--allow-env=SUPERCHECK_NATS_URL"],
      env: { SUPERCHECK_NATS_URL: "127.0.0.1:4222" },
    });
    assertEquals([code, stdout], [0, "null connecting\nJetStreamStoreError net_permission\n"]);
    assertMatch(
      stderr,
      /^\[jetstream\] The runtime does not allow .* at 127\.0\.0\.1:4222: run with --allow-net=127\.0\.0\.1:4222\. Calls/,
    );
    assertEquals(stderr.split("\n").length, 2);
  });
}

Deno.test({
  name: "no permission is asked for at a terminal",
  // `script` gives it one; its options are others elsewhere.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const root = new URL("../../", import.meta.url);
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, `import * as jetstream from "${new URL("mod.ts", root)}";\n${ASK}`);
    const config = new URL("deno.json", root).pathname;
    const { stdout } = await new Deno.Command("script", {
      args: ["-qec", `"${Deno.execPath()}" run --quiet --no-check --config="${config}" "${file}"`, "/dev/null"],
      env: { SUPERCHECK_NATS_URL: "127.0.0.1:4222", NO_COLOR: "1" },
      stdin: "null",
      signal: AbortSignal.timeout(60_000),
    }).output();
    await Deno.remove(file);
    const shown = new TextDecoder().decode(stdout);
    assertStringIncludes(shown, "null none");
    assertStringIncludes(shown, "JetStreamStoreError net_permission");
    assertEquals(/requests|Allow\?/.test(shown), false, shown);
  },
});
