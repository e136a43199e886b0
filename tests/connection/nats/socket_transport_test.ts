import { assertEquals, assertMatch } from "@std/assert";
import type { Server } from "@nats-io/nats-core";
import { SocketTransport } from "../../../src/connection/nats/socket_transport.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { makeCertificates } from "../../_support/make_certificates.ts";
import { Relay } from "../../_support/relay.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const { issue, ...paths } = await makeCertificates();
addEventListener("unload", () => Deno.removeSync(paths.ca.replace(/\/[^/]*$/, ""), { recursive: true }));
const [ca, cert, key] = [paths.ca, paths.clientCert, paths.clientKey].map((path) => Deno.readTextFileSync(path));
const expired = await issue("expired", { days: -1 });
const [oldCert, oldKey] = [expired.cert, expired.key].map((path) => Deno.readTextFileSync(path));
const mutual = { cert: paths.cert, key: paths.key, ca: paths.ca, verify: true };

const target = (url: string) => ({ hostname: "127.0.0.1", port: Number(new URL(url).port) }) as Server;

Deno.test("SocketTransport waits, where it is asked to, until the server has refused our certificate", async () => {
  await using server = await startNatsServer({ tls: mutual });
  await using relay = new Relay(server.url);
  // By the time of the refusal the handshake is done on our side.
  relay.slow("down", { delay: 100, chunk: 65_536 });
  // On a busy machine it may have waited for long enough before it reads the refusal.
  await waitUntil(async () => {
    const transport = new SocketTransport("after_greeting", true);
    const connecting = transport.connect(target(relay.url), { tls: { ca, cert: oldCert, key: oldKey } });
    const refusal = await connecting.catch((error) => error);
    if (!refusal) return await transport.close(), false;
    assertMatch(String(refusal), /Expired/);
    assertEquals(transport.mayHideRefusal, false);
    return true;
  });
});

Deno.test("SocketTransport connects where it waited for a refusal that did not come", async () => {
  await using server = await startNatsServer({ tls: mutual });
  const transport = new SocketTransport("after_greeting", true);
  await transport.connect(target(server.url), { tls: { ca, cert, key }, timeout: 400 });
  assertEquals([transport.isClosed, transport.isEncrypted()], [false, true]);
  await transport.close();
  assertEquals(transport.mayHideRefusal, false);
});
