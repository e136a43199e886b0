import { assertEquals, assertRejects } from "@std/assert";
import { nkeys } from "@nats-io/nats-core";
import { type ConnectOptions, JetStreamStores } from "../../mod.ts";
import { type NatsServerOptions, startNatsServer } from "../../src/testing/mod.ts";
import { makeCertificates } from "../_support/make_certificates.ts";
import { makeCredentials } from "../_support/make_credentials.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { shown } from "./_shown.ts";
import { runService } from "../_support/run_service.ts";

/** Asserts that the secrets are in nothing of what a user gets to see, whether the server lets in or not. */
async function assertKept(options: ConnectOptions, secrets: string[], server?: NatsServerOptions): Promise<void> {
  await using running = await startNatsServer(server);
  const url = new URL(running.url);
  const servers = typeof options.servers === "string" ? options.servers.replace("HOST", url.host) : running.url;
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ ...options, servers, logger, connectTimeout: 20_000, timeout: 20_000 });
  const seen: unknown[] = [stores];
  seen.push(await stores.connect().catch((error) => error));
  seen.push(stores.objectBucket("b"), stores.kvBucket("b"), stores.jobQueue("q"));
  seen.push(await stores.storeKV("k", "v").catch((error) => error));
  seen.push(await stores.storeHealthcheck("k", "v").catch((error) => error));
  seen.push(await stores.consumeJobs("q", () => {}));
  seen.push(await stores.publishJob("q", 1));
  for await (const key of stores.kvBucket("supercheck_kv").keys()) seen.push(key);
  seen.push(stores, stores.connectionInfo(), stores.connectionCounters(), logger.lines);
  await running.kill();
  await logger.until(/Disconnected|unreachable/);
  await stores.close({ deadline: 100 });
  seen.push(logger.lines, stores);
  for (const value of seen) {
    for (const secret of secrets) assertEquals(shown(value).includes(secret), false, shown(value));
  }
}

const user = nkeys.createUser();
const nkeySeed = new TextDecoder().decode(user.getSeed());

Deno.test("a token is never shown", () => assertKept({ token: "t0ken" }, ["t0ken"], { auth: { token: "t0ken" } }));

Deno.test("a password is never shown", () =>
  assertKept({ user: "ann", password: "pa55" }, ["pa55"], { auth: { user: "ann", password: "pa55" } }));

Deno.test("user and password of a URL are never shown", () =>
  assertKept({ servers: "nats://annabel:pa55@HOST" }, ["annabel", "pa55"], {
    auth: { user: "annabel", password: "pa55" },
  }));

Deno.test("the seed of an nkey is never shown", () =>
  assertKept({ nkeySeed }, [nkeySeed], { auth: { nkey: user.getPublicKey() } }));

Deno.test("what is in a file of credentials is never shown", async () => {
  const { auth, creds } = await makeCredentials();
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, creds);
  const lines = new TextDecoder().decode(creds).split("\n").filter((line) => /^[A-Za-z0-9._-]{40,}$/.test(line));
  assertEquals(lines.length, 2);
  await assertKept({ creds: path }, lines, { auth });
  await Deno.remove(path);
});

/** Asserts that connect() rejects without showing a secret, in what it throws and in what is logged. */
async function assertRefusedQuietly(options: ConnectOptions, secrets: string[]): Promise<void> {
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ ...options, logger, connectTimeout: 30_000, env: () => undefined });
  const error = await assertRejects(() => stores.connect());
  for (const secret of secrets) {
    for (const value of [error, stores, logger.lines]) assertEquals(shown(value).includes(secret), false, shown(value));
  }
}

Deno.test("refused secrets are not shown", async () => {
  await using server = await startNatsServer({ auth: { token: "right" } });
  const { creds } = await makeCredentials();
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, creds);
  const lines = new TextDecoder().decode(creds).split("\n").filter((line) => /^[A-Za-z0-9._-]{40,}$/.test(line));
  const host = `127.0.0.1:${server.port}`;
  await assertRefusedQuietly({ servers: host, token: "wr0ng" }, ["wr0ng"]);
  await assertRefusedQuietly({ servers: host, user: "annabel", password: "wr0ng" }, ["annabel", "wr0ng"]);
  await assertRefusedQuietly({ servers: `nats://annabel:wr0ng@${host}` }, ["annabel", "wr0ng"]);
  await assertRefusedQuietly({ servers: `nats://wr0ng@${host}` }, ["wr0ng"]);
  await assertRefusedQuietly({ servers: host, nkeySeed }, [nkeySeed]);
  await assertRefusedQuietly({ servers: host, creds: path }, lines);
  await Deno.remove(path);
});

Deno.test("secrets of malformed options and files are not shown", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, `-----BEGIN NATS USER JWT-----\nj0j0j0\n------END NATS USER JWT------\n${nkeySeed}\n`);
  await assertRefusedQuietly({ servers: "127.0.0.1:1", creds: path }, ["j0j0j0", nkeySeed]);
  await assertRefusedQuietly({ servers: "nats://annabel:pa55@a b" }, ["annabel", "pa55"]);
  await assertRefusedQuietly({ servers: "nats://annabel:pa@55@a:port" }, ["annabel", "pa@55", "55@"]);
  await assertRefusedQuietly({ servers: "annabel:pa55@http://a" }, ["annabel", "pa55"]);
  await assertRefusedQuietly({ servers: "127.0.0.1:1", nkeySeed: `${nkeySeed}x` }, [nkeySeed]);
  await Deno.remove(path);
});

Deno.test("a client's key is not shown when TLS fails", async () => {
  await using certificates = await makeCertificates();
  const { cert, key, clientCert, clientKey } = certificates;
  const secret = (await Deno.readTextFile(clientKey)).split("\n")[1];
  await using server = await startNatsServer({ tls: { cert, key } });
  await assertRefusedQuietly({ servers: server.url, tls: { cert: clientCert, key: clientKey } }, [secret]);
});

Deno.test("what the process-wide functions say on the console shows no secret", async () => {
  const { stdout, stderr } = await runService(
    `await jetstream.loadKV("k"); await jetstream.connect({ token: "t0ken" }).catch(console.log); console.log(Deno.inspect(jetstream, { depth: 9 }));
    await jetstream.close();`,
    { env: { SUPERCHECK_NATS_URL: "nats://annabel:pa55@127.0.0.1:1", SUPERCHECK_NATS_NKEY_SEED: nkeySeed } },
  );
  assertEquals(
    /annabel|pa55|t0ken/.test(stdout + stderr) || (stdout + stderr).includes(nkeySeed),
    false,
    stdout + stderr,
  );
  assertEquals(stderr.includes("127.0.0.1:1 is unreachable"), true, stderr);
});
