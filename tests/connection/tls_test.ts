import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { makeCertificates } from "../_support/make_certificates.ts";
import { ForgetfulWay } from "./_forgetful_way.ts";
import { RawServer } from "./_raw_server.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { runDeno } from "../_support/run_deno.ts";
import { runService } from "../_support/run_service.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

const certificates = await makeCertificates();
addEventListener("unload", () => Deno.removeSync(certificates.ca.replace(/\/[^/]*$/, ""), { recursive: true }));
const { ca, cert, key, clientCert, clientKey } = certificates;

Deno.test("JetStreamStores connects with TLS, and with a client certificate where the server wants one", async () => {
  await using server = await startNatsServer({ tls: { cert, key, ca, verify: true } });
  const logger = new CollectedLog();
  const tls = { ca, cert: clientCert, key: clientKey };
  for (const servers of [server.url, server.url.replace("nats:", "tls:"), `localhost:${server.port}`]) {
    await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers, tls, logger });
    assertEquals((await stores.connect())?.serverName, server.name);
    await stores.storeKV("k", "v");
    assertEquals((await stores.loadKV("k"))?.val, "v");
  }
});

Deno.test("JetStreamStores comes back over TLS", async () => {
  await using server = await startNatsServer({ tls: { cert, key } });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, tls: { ca }, logger });
  await stores.storeKV("k", "v");
  await server.restart();
  await logger.until(/Reconnected/);
  assertEquals((await stores.loadKV("k"))?.val, "v");
});

const expired = await certificates.issue("expired", { days: -1 });
const otherName = await certificates.issue("other", { names: "DNS:example.org" });
const stranger = await makeCertificates();
addEventListener("unload", () => Deno.removeSync(stranger.ca.replace(/\/[^/]*$/, ""), { recursive: true }));
const own = { cert, key };
const mutual = { ...own, ca, verify: true };

for (const handshakeFirst of [false, true]) {
  for (
    const [reason, server, tls] of [
      ["the server's certificate is of an unknown authority", own, {}],
      ["the server's certificate is of an unknown authority", own, { ca: stranger.ca }],
      ["the server's certificate has expired", expired, { ca }],
      ["the server's certificate is for another name", otherName, { ca }],
      ["the server requires a client certificate", mutual, { ca }],
      ["the client's certificate has expired", mutual, { ca, ...expired }],
      [
        "the server does not know the authority of the client's certificate",
        mutual,
        { ca, cert: stranger.clientCert, key: stranger.clientKey },
      ],
    ] as const
  ) {
    const title = `${reason}${handshakeFirst ? ", with the handshake first" : ""}: ${Object.keys(tls)}`;
    Deno.test(`JetStreamStores.connect throws 'tls' and says that ${title}`, async () => {
      const config = handshakeFirst ? tlsFirst("true", server) : "";
      await using running = await startNatsServer(handshakeFirst ? { config } : { tls: server });
      const logger = new CollectedLog();
      const options = { servers: running.url, tls: handshakeFirst ? { ...tls, handshakeFirst } : tls, logger };
      await using stores = new JetStreamStores(options);
      const error = await assertRejects(() => stores.connect(), JetStreamStoreError);
      assertEquals([error.code, error.message.includes(`failed, as ${reason} (`)], ["tls", true], error.message);
      assertMatch(error.message, /SUPERCHECK_NATS_TLS_CA/);
      assertEquals(await stores.loadKV("k"), null);
      assertEquals(logger.lines, [`error: ${error.message}. Calls return null, reconnecting`]);
    });
  }
}

/** Bytes, encrypted, that a refusal is shorter than, and all that comes before is not. */
const SHORT_BYTES = 64;

for (
  const [reason, tls] of [
    ["the client's certificate has expired", expired],
    ["the server does not know the authority of the client's certificate", {
      cert: stranger.clientCert,
      key: stranger.clientKey,
    }],
  ] as const
) {
  Deno.test(`JetStreamStores.connect asks again why it is refused, where the answer got lost as it had sent something: ${reason}`, async () => {
    await using server = await startNatsServer({ tls: mutual });
    await using way = await ForgetfulWay.to(server.port, (bytes) => bytes.length < SHORT_BYTES);
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({
      connectTimeout: TIMEOUT_MS,
      servers: way.url,
      tls: { ca, ...tls },
      logger,
    });
    const error = await assertRejects(() => stores.connect(), JetStreamStoreError, `failed, as ${reason} (`);
    assertEquals([error.code, way.connections], ["tls", 2]);
  });
}

/** The TLS block of a server that wants the handshake before its greeting. */
function tlsFirst(mode: string, server: { cert: string; key: string; ca?: string; verify?: boolean } = own): string {
  const authority = server.ca ? `ca_file: "${server.ca}", verify: true,` : "";
  return `tls { cert_file: "${server.cert}", key_file: "${server.key}", ${authority} timeout: 20, handshake_first: ${mode} }`;
}

for (const mode of ["true", "auto", '"300ms"']) {
  Deno.test(`JetStreamStores connects to a server with handshake_first: ${mode}, configured or not, and again after a disconnect`, async () => {
    await using server = await startNatsServer({ config: tlsFirst(mode) });
    const host = `127.0.0.1:${server.port}`;
    const ways = [
      { servers: host, tls: { ca, handshakeFirst: true } },
      { servers: `tls://${host}`, tls: { ca } },
      { env: envOf({ SUPERCHECK_NATS_URL: `tls://${host}`, SUPERCHECK_NATS_TLS_CA: ca }) },
    ];
    for (const way of ways) {
      const logger = new CollectedLog();
      await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, ...way, logger });
      // A server that waits for the handshake waits 50 ms, or 300: a busy machine may need another attempt.
      const connect = () => mode === "true" ? stores.connect() : stores.connect().catch(() => null);
      await waitUntil(async () => (await connect())?.serverName === server.name);
      assertEquals(typeof await stores.storeKV("k", "v"), "number", logger.lines.join());
      await server.restart();
      await logger.until(/Reconnected/);
      assertEquals((await stores.loadKV("k"))?.val, "v");
    }
  });
}

Deno.test("JetStreamStores keeps reporting an expired certificate where it had to find out that the handshake comes first", async () => {
  await using server = await startNatsServer({ config: tlsFirst("true", expired) });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: server.url, tls: { ca }, connectTimeout: 30_000, logger });
  for (let attempt = 0; attempt < 3; attempt++) {
    await assertRejects(
      () => stores.connect({ name: `attempt ${attempt}` }),
      JetStreamStoreError,
      "certificate has expired",
    );
  }
  assertEquals(logger.lines.filter((line) => line.includes("away")), []);
});

Deno.test("a server with handshake_first that is connected to without TLS is unreachable, and the message names tls://", async () => {
  await using server = await startNatsServer({ config: tlsFirst("true") });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: server.url, connectTimeout: 5_000, logger });
  assertEquals(await stores.connect(), null);
  assertMatch(
    await logger.until(/unreachable/),
    /is unreachable \(timeout\): it accepts connections and sends nothing.+\(tls:\/\/\)/,
  );
});

function envOf(variables: Record<string, string>) {
  return (name: string) => variables[name];
}

Deno.test("JetStreamStores connects to a server whose greeting came after the TLS handshake was begun without it", async () => {
  await using server = await startNatsServer({ tls: { cert, key } });
  const logger = new CollectedLog();
  server.suspend();
  await using stores = new JetStreamStores({ servers: server.url, tls: { ca }, connectTimeout: 20_000, logger });
  const first = stores.connect().catch((error) => error);
  // The time after which a server counts as silent, and some more.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  server.resume();
  // Not even the first attempt fails.
  assertEquals((await first)?.serverName, server.name, logger.lines.join());
  assertEquals(logger.lines.length, 1);
  assertEquals(typeof await stores.storeKV("k", "v"), "number");
});

Deno.test("JetStreamStores says that a server does not answer with TLS when configured to begin with the handshake", async () => {
  await using server = await startNatsServer();
  const tls = { ca, handshakeFirst: true };
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    tls,
    logger: new CollectedLog(),
  });
  const error = await assertRejects(() => stores.connect(), JetStreamStoreError, "the server does not answer with TLS");
  assertEquals(error.code, "tls");
});

/** Closes so many connections to a port. */
async function attemptsAt(port: number, count: number): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port });
  for (let attempt = 0; attempt < count; attempt++) (await listener.accept()).close();
}

for (const way of ["TLS", "a WebSocket", "neither"]) {
  const used = way === "neither";
  Deno.test(`JetStreamStores uses ${used ? "a" : "no"} server that a cluster announces, with ${way}`, async () => {
    const [route, websocket, otherWebsocket] = [freePort(), freePort(), freePort()];
    const start = (cluster: string, websocket: number) =>
      startNatsServer({ jetstream: false, tls: way === "TLS" ? own : undefined, websocket, config: cluster });
    await using server = await start(`cluster { name: c, listen: "127.0.0.1:${route}" }`, websocket);
    const routes = `routes: ["nats://127.0.0.1:${route}"]`;
    await using other = await start(`cluster { name: c, listen: "127.0.0.1:-1", ${routes} }`, otherWebsocket);
    await waitUntil(async () => Number((await server.monitor("/routez"))?.num_routes) > 0);
    const logger = new CollectedLog();
    const servers = way === "a WebSocket" ? server.websocketUrl! : server.url;
    await using stores = new JetStreamStores({
      connectTimeout: TIMEOUT_MS,
      servers,
      ...way === "TLS" && { tls: { ca } },
      logger,
    });
    assertEquals((await stores.connect())?.serverName, server.name);
    await server.kill();
    await logger.until(/Disconnected from NATS at/);
    if (!used) {
      // Behind the first attempt that fails, the other server would have been tried, too.
      const attempts = attemptsAt(Number(new URL(servers).port), 2);
      await Promise.race([attempts, logger.until(/Reconnected/)]);
      await server.restart();
    }
    await logger.until(/Reconnected/);
    assertEquals(stores.connectionInfo()?.serverName, used ? other.name : server.name);
  });
}

Deno.test("JetStreamStores.connect throws 'tls' when TLS is asked for and the server has none", async () => {
  await using server = await startNatsServer();
  for (const way of [{ servers: server.url, tls: { ca } }, { servers: server.url.replace("nats:", "tls:") }]) {
    await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, ...way, logger: new CollectedLog() });
    const error = await assertRejects(() => stores.connect(), JetStreamStoreError, "that the server speaks TLS");
    assertEquals(error.code, "tls", error.message);
  }
});

Deno.test("JetStreamStores.connect throws 'tls' for a file that is not there, and connects once it is", async () => {
  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  await using server = await startNatsServer({ tls: { cert, key } });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    tls: { ca: path },
    logger,
  });
  const error = await assertRejects(() => stores.connect(), JetStreamStoreError, path);
  assertEquals(error.code, "tls");
  await Deno.copyFile(ca, path);
  await logger.until(/Connected/);
  await Deno.remove(path);
});

Deno.test("JetStreamStores lets go of a socket whose TLS handshake is not answered", async () => {
  const info = { server_id: "x", version: "2.15.0", headers: true, max_payload: 1_048_576, tls_required: true };
  await using server = new RawServer((socket) =>
    socket.write(new TextEncoder().encode(`INFO ${JSON.stringify(info)}\r\n`))
  );
  const stores = new JetStreamStores({ servers: server.host, connectTimeout: 150, logger: new CollectedLog() });
  assertEquals(await stores.connect(), null);
  await stores.close();
});

for (
  const [reason, server, env] of [
    ["is of an unknown authority", own, {}],
    ["has expired", expired, { DENO_CERT: ca }],
    ["is for another name", otherName, { DENO_CERT: ca }],
  ] as const
) {
  Deno.test(`connect throws 'tls' and says that the certificate of a WebSocket's server ${reason}`, async () => {
    await using running = await startNatsServer({ tls: server, websocket: true });
    const { stdout, stderr } = await runService(
      `await jetstream.connect({ servers: "${running.websocketUrl}", connectTimeout: 30_000 }).catch(({ code, message }) => console.log(code, message));
      await jetstream.close();`,
      { env },
    );
    assertMatch(
      stdout,
      new RegExp(`^tls TLS with NATS at \\S+ failed, as the server's certificate ${reason} .*: check DENO_CERT`),
      stderr,
    );
  });
}

Deno.test("JetStreamStores connects with TLS where only the server asks for it, and the runtime trusts its authority", async () => {
  await using server = await startNatsServer({ tls: { cert, key } });
  const script = `
    import { JetStreamStores } from "${new URL("../../mod.ts", import.meta.url)}";
    await using stores = new JetStreamStores({ servers: "${server.url}", timeout: 30_000, connectTimeout: 30_000, env: () => undefined });
    await stores.connect();
    await stores.storeKV("k", "v".repeat(100_000));
    console.log((await stores.loadKV("k")).val.length);
  `;
  const args = [
    "run",
    "-A",
    "--no-lock",
    "--no-check",
    "--config=deno.json",
    `data:application/typescript,${encodeURIComponent(script)}`,
  ];
  const cwd = new URL("../..", import.meta.url);
  const trusting = await runDeno(args, { cwd, env: { DENO_CERT: ca } });
  assertEquals([trusting.code, trusting.stdout], [0, "100000\n"], trusting.stderr);
  const other = await runDeno(args, { cwd });
  assertMatch(other.stderr, /the server's certificate is of an unknown authority/);
});
