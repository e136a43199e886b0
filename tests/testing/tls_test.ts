import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { makeCertificates } from "../_support/make_certificates.ts";

/** Does what a client with these authorities and without a certificate of its own does, up to the first encrypted answer. */
async function shakeHands(server: NatsServer, caCerts: string[]): Promise<void> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const buffer = new Uint8Array(4096);
  await connection.read(buffer);
  using encrypted = await Deno.startTls(connection, { hostname: "127.0.0.1", caCerts });
  await encrypted.write(new TextEncoder().encode("CONNECT {}\r\nPING\r\n"));
  await encrypted.read(buffer);
}

Deno.test("startNatsServer speaks TLS with the certificate that it is given", async () => {
  await using certificates = await makeCertificates();
  const { ca, cert, key } = certificates;
  await using server = await startNatsServer({ tls: { cert, key } });
  const nc = await connect({ servers: server.url, tls: { caFile: ca } });
  await nc.flush();
  assertEquals(nc.info?.tls_required, true);
  await nc.close();
  await assertRejects(() => shakeHands(server, []), Error, "UnknownIssuer");
});

Deno.test("startNatsServer asks clients for a certificate when it verifies them", async () => {
  await using certificates = await makeCertificates();
  const { ca, cert, key, clientCert, clientKey } = certificates;
  await using server = await startNatsServer({ tls: { cert, key, ca, verify: true } });
  const nc = await connect({ servers: server.url, tls: { caFile: ca, certFile: clientCert, keyFile: clientKey } });
  await nc.flush();
  await nc.close();
  await assertRejects(() => shakeHands(server, [Deno.readTextFileSync(ca)]), Error, "CertificateRequired");
});
