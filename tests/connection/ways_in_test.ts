import { assertEquals } from "@std/assert";
import { nkeys } from "@nats-io/nats-core";
import { type ConnectOptions, JetStreamStores } from "../../mod.ts";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../../src/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { makeCertificates } from "../_support/make_certificates.ts";
import { makeCredentials } from "../_support/make_credentials.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** What one way in is called, how the server is set up for it, and how the client takes it. */
interface Way {
  server: NatsServerOptions;
  env(server: NatsServer): Record<string, string>;
  options?(server: NatsServer): ConnectOptions;
}

const nkey = nkeys.createUser();
const nkeySeed = new TextDecoder().decode(nkey.getSeed());
const user = { user: "ann", password: "p@ss:w/rd" };

/** Asserts that a JetStream call works, by the variables and by the options. */
async function assertLetsIn({ server: serverOptions, env, options }: Way): Promise<void> {
  await using server = await startNatsServer(serverOptions);
  const variables: Record<string, string> = { SUPERCHECK_NATS_URL: server.url, ...env(server) };
  await assertWorks(new JetStreamStores({ env: (name) => variables[name], logger: new CollectedLog() }));
  if (!options) return;
  const all = { servers: server.url, ...options(server), logger: new CollectedLog(), env: () => undefined };
  await assertWorks(new JetStreamStores(all));
}

async function assertWorks(stores: JetStreamStores): Promise<void> {
  await using _ = stores;
  assertEquals(typeof (await stores.connect())?.version, "string");
  assertEquals(typeof await stores.storeKV("k", "v"), "number");
  assertEquals(await stores.loadKV("k"), { key: "k", val: "v" });
}

Deno.test("SUPERCHECK_NATS_TOKEN and 'token' let in", () =>
  assertLetsIn({
    server: { auth: { token: "s3cr3t" } },
    env: () => ({ SUPERCHECK_NATS_TOKEN: "s3cr3t" }),
    options: () => ({ token: "s3cr3t" }),
  }));

Deno.test("SUPERCHECK_NATS_USER with _PASSWORD and 'user' with 'password' let in", () =>
  assertLetsIn({
    server: { auth: user },
    env: () => ({ SUPERCHECK_NATS_USER: user.user, SUPERCHECK_NATS_PASSWORD: user.password }),
    options: () => user,
  }));

Deno.test("SUPERCHECK_NATS_NKEY_SEED and 'nkeySeed' let in", () =>
  assertLetsIn({
    server: { auth: { nkey: nkey.getPublicKey() } },
    env: () => ({ SUPERCHECK_NATS_NKEY_SEED: nkeySeed }),
    options: () => ({ nkeySeed }),
  }));

Deno.test("SUPERCHECK_NATS_CREDS and 'creds' let in", async () => {
  const { auth, creds } = await makeCredentials();
  const path = await Deno.makeTempFile({ suffix: ".creds" });
  await Deno.writeFile(path, creds);
  await assertLetsIn({
    server: { auth },
    env: () => ({ SUPERCHECK_NATS_CREDS: path }),
    options: () => ({ creds: path }),
  });
  await Deno.remove(path);
});

Deno.test("SUPERCHECK_NATS_TLS_CA, _CERT and _KEY and 'tls' let in", async () => {
  await using certificates = await makeCertificates();
  const { ca, cert, key, clientCert, clientKey } = certificates;
  await assertLetsIn({
    server: { tls: { cert, key, ca, verify: true } },
    env: () => ({
      SUPERCHECK_NATS_TLS_CA: ca,
      SUPERCHECK_NATS_TLS_CERT: clientCert,
      SUPERCHECK_NATS_TLS_KEY: clientKey,
    }),
    options: () => ({ tls: { ca, cert: clientCert, key: clientKey } }),
  });
});

Deno.test("user and password in the URL let in, percent-encoded where they must be", () => {
  const url = ({ port }: NatsServer) => `nats://ann:${encodeURIComponent(user.password)}@127.0.0.1:${port}`;
  return assertLetsIn({
    server: { auth: user },
    env: (server) => ({ SUPERCHECK_NATS_URL: url(server) }),
    options: (server) => ({ servers: [url(server)] }),
  });
});

Deno.test("the user in the URL lets in with the password elsewhere", () => {
  const url = ({ port }: NatsServer) => `nats://ann@127.0.0.1:${port}`;
  return assertLetsIn({
    server: { auth: user },
    env: (server) => ({ SUPERCHECK_NATS_URL: url(server), SUPERCHECK_NATS_PASSWORD: user.password }),
    options: (server) => ({ servers: url(server), password: user.password }),
  });
});

Deno.test("each URL lets in with its own user and password, and one without with those of another", async () => {
  await using server = await startNatsServer({ auth: user });
  await using other = await startNatsServer({ auth: { user: "bob", password: "x" } });
  const ann = `nats://ann:${encodeURIComponent(user.password)}@127.0.0.1:`;
  const servers = [`nats://bob:x@127.0.0.1:${other.port}`, `${ann}${server.port}`];
  const logger = new CollectedLog();
  const seen = new Set<string | undefined>();
  // They are tried in random order.
  for (let round = 0; round < 100 && seen.size < 2; round++) {
    await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers, logger });
    seen.add((await stores.connect())?.serverName);
  }
  assertEquals(seen, new Set([other.name, server.name]));
  await assertWorks(new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: [`${ann}1`, server.url], logger }));
});

Deno.test("a token in the URL lets in", () => {
  const url = ({ port }: NatsServer) => `nats://s3cr3t@127.0.0.1:${port}`;
  return assertLetsIn({
    server: { auth: { token: "s3cr3t" } },
    env: (server) => ({ SUPERCHECK_NATS_URL: url(server) }),
    options: (server) => ({ servers: url(server) }),
  });
});

Deno.test("a websocket lets in, with user and password in the URL, too", () => {
  const url = ({ websocketUrl }: NatsServer) => websocketUrl!.replace("://", "://ann:p%40ss%3Aw%2Frd@");
  return assertLetsIn({
    server: { auth: user, websocket: true },
    env: (server) => ({ SUPERCHECK_NATS_URL: url(server) }),
    options: (server) => ({ servers: server.websocketUrl, ...user }),
  });
});

Deno.test("options given to JetStreamStores.connect come before those of the instance and the variables", async () => {
  await using server = await startNatsServer({ auth: { token: "right" } });
  const variables: Record<string, string> = { SUPERCHECK_NATS_URL: server.url, SUPERCHECK_NATS_TOKEN: "wrong" };
  await using stores = new JetStreamStores({ env: (name) => variables[name], logger: new CollectedLog() });
  assertEquals((await stores.connect({ token: "right", name: "mine" }))?.serverName, server.name);
  const { connections } = await server.monitor("/connz") as { connections: { name: string }[] };
  assertEquals(connections.map(({ name }) => name), ["mine"]);
});

Deno.test("JetStreamStores asks the environment for no way in when it is given servers", async () => {
  await using server = await startNatsServer();
  const asked: string[] = [];
  await using stores = new JetStreamStores({
    servers: server.url,
    env: (name) => void asked.push(name),
    logger: new CollectedLog(),
  });
  await stores.storeKV("k", "v");
  assertEquals(asked.sort(), [
    "SUPERCHECK_NATS_KV_TTL_SECS",
    "SUPERCHECK_NATS_MAX_BYTES",
    "SUPERCHECK_NATS_REPLICAS",
  ]);
});

Deno.test("SUPERCHECK_NATS_URL may have spaces and empty places in its list, and names no server when it has nothing else", async () => {
  await using server = await startNatsServer();
  await assertWorks(
    new JetStreamStores({
      env: (name) => name === "SUPERCHECK_NATS_URL" ? ` ${server.url}, ,` : undefined,
      logger: new CollectedLog(),
    }),
  );
  for (const url of ["", " ", ",", " , "]) {
    await using stores = new JetStreamStores({
      env: (name) => name === "SUPERCHECK_NATS_URL" ? url : undefined,
      logger: new CollectedLog(),
    });
    assertEquals(await stores.connect(), null);
    assertEquals(stores.connectionStatus(), "none");
  }
});

Deno.test("an IPv6 address lets in, also by WebSocket and behind a user", async () => {
  const [port, websocket] = [freePort("::1"), freePort("::1")];
  const config = `listen: "[::1]:${port}"\nwebsocket { listen: "[::1]:${websocket}", no_tls: true }`;
  await using server = await startNatsServer({ config });
  for (const servers of [`[::1]:${port}`, `nats://u:p@[0:0::1]:${port}`, `ws://[::1]:${websocket}/path`]) {
    await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers, logger: new CollectedLog() });
    assertEquals((await stores.connect())?.serverName, server.name, servers);
  }
});

Deno.test("the path of a WebSocket is requested as it is written, and not shown with the server's name", async () => {
  const asked = Promise.withResolvers<string>();
  await using proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.resolve(new URL(request.url).pathname);
    return new Response(null, { status: 404 });
  });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: `ws://127.0.0.1:${proxy.addr.port}/a%20b/c`, logger });
  assertEquals([await stores.connect(), await asked.promise], [null, "/a%20b/c"]);
  assertEquals(logger.lines.join().includes("a%20b"), false);
});
