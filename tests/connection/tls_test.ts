import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { makeCertificates } from "../testing/make_certificates.ts";
import { RawServer } from "./_raw_server.ts";
import { CollectedLog } from "./collected_log.ts";

const certificates = await makeCertificates();
addEventListener("unload", () => Deno.removeSync(certificates.ca.replace(/\/[^/]*$/, ""), { recursive: true }));
const { ca, cert, key, clientCert, clientKey } = certificates;

Deno.test("JetStreamStores connects with TLS, and with a client certificate where the server wants one", async () => {
  await using server = await startNatsServer({ tls: { cert, key, ca, verify: true } });
  const logger = new CollectedLog();
  const tls = { ca, cert: clientCert, key: clientKey };
  for (const servers of [server.url, server.url.replace("nats:", "tls:"), `localhost:${server.port}`]) {
    await using stores = new JetStreamStores({ servers, tls, logger });
    assertEquals((await stores.connect())?.serverName, server.name);
    await stores.storeKV("k", "v");
    assertEquals((await stores.loadKV("k"))?.val, "v");
  }
});

Deno.test("JetStreamStores comes back over TLS", async () => {
  await using server = await startNatsServer({ tls: { cert, key } });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: server.url, tls: { ca }, logger });
  await stores.storeKV("k", "v");
  await server.restart();
  await logger.until(/Connected again/);
  assertEquals((await stores.loadKV("k"))?.val, "v");
});

for (
  const [why, verify, options, reason] of [
    ["is of an unknown authority", false, {}, /UnknownIssuer|self.signed|unable to verify/],
    ["wants a certificate and gets none", true, { tls: { ca } }, /certificate required/],
  ] as const
) {
  Deno.test(`JetStreamStores.connect throws 'tls' when the server ${why}, and all else is null`, async () => {
    await using server = await startNatsServer({ tls: { cert, key, ca, verify } });
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ servers: server.url, ...options, logger });
    const error = await assertRejects(() => stores.connect(), JetStreamStoreError);
    assertEquals(error.code, "tls", error.message);
    assertMatch(error.message, reason);
    assertMatch(error.message, /SUPERCHECK_NATS_TLS_CA/);
    assertEquals(await stores.loadKV("k"), null);
    assertEquals(logger.lines, [`error: ${error.message}. Calls return null; trying on`]);
  });
}

Deno.test("JetStreamStores.connect throws 'tls' when the certificate is for another name", async () => {
  await using server = await startNatsServer({ tls: { cert, key } });
  await using stores = new JetStreamStores({
    servers: `nats://0.0.0.0:${server.port}`,
    tls: { ca },
    logger: new CollectedLog(),
  });
  const error = await assertRejects(() => stores.connect(), JetStreamStoreError);
  assertEquals(error.code, "tls", error.message);
});

Deno.test("JetStreamStores.connect throws 'tls' when TLS is asked for and the server has none", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, tls: { ca }, logger: new CollectedLog() });
  const error = await assertRejects(() => stores.connect(), JetStreamStoreError, "that the server speaks TLS");
  assertEquals(error.code, "tls", error.message);
});

Deno.test("JetStreamStores.connect throws 'tls' for a file that is not there, and connects once it is", async () => {
  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  await using server = await startNatsServer({ tls: { cert, key } });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: server.url, tls: { ca: path }, logger });
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
