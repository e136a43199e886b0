import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { JetStreamStoreError } from "../../src/errors.ts";
import { ServerVersion } from "../../src/connection/server_version.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

Deno.test("ServerVersion.atLeast compares numbers, not texts", () => {
  for (
    const [version, other, atLeast] of [
      ["2.15.1", "2.9", true],
      ["2.9.0", "2.10", false],
      ["2.10.0", "2.10", true],
      ["3.0.0", "2.99", true],
      ["1.99.0", "2.0", false],
      ["2.14.0-RC.1", "2.14", true],
      ["nonsense", "2.0", false],
    ] as const
  ) assertEquals(new ServerVersion(version).atLeast(other), atLeast, `${version} ${other}`);
});

Deno.test("ServerVersion.require throws 'unsupported' with both versions", () => {
  const version = new ServerVersion("2.10.3");
  version.require("2.10", "This");
  const error = assertThrows(() => version.require("2.11", "This"), JetStreamStoreError);
  assertEquals([error.code, error.message], [
    "unsupported",
    "This needs nats-server 2.11 or newer: this server has 2.10.3",
  ]);
});

Deno.test("JetStreamStores logs that a server is older than 2.12, on which queues are 'unsupported'", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url, { version: "2.11.10" });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: proxy.url,
    logger,
    env: () => undefined,
  });
  await stores.connect();
  const warning = "warn: NATS 2.11.10 is older than 2.12, the oldest supported: queues do not work, update the server";
  assertEquals(logger.lines.slice(1), [warning]);
  const error = await assertRejects(() => stores.publishJob("checks", 1), JetStreamStoreError);
  assertEquals(error.code, "unsupported");
  assertEquals(error.message, "A work queue needs nats-server 2.12 or newer: this server has 2.11.10");
});

Deno.test("ServerVersion.atLeast compares the patch, too, where that is given", () => {
  const server = new ServerVersion("2.14.5");
  const wanted = ["2.14.4", "2.14.5", "2.14.6", "2.13.9", "2.15.0", "1.99.99", "3.0.0"];
  assertEquals(wanted.map((version) => server.atLeast(version)), [true, true, false, true, false, true, false]);
});
