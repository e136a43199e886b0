import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { makeCredentials } from "../_support/make_credentials.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { runService } from "../_support/run_service.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

Deno.test("JetStreamStores.connect throws 'auth' for refused credentials; calls are null, and it is logged once", async () => {
  await using server = await startNatsServer({ auth: { user: "ann", password: "right" } });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    user: "ann",
    password: "wrong",
    logger,
  });
  assertEquals(await stores.loadKV("k"), null);
  const errors = await Promise.all([1, 2].map(() => assertRejects(() => stores.connect(), JetStreamStoreError)));
  for (const { code, message } of errors) {
    assertEquals(code, "auth");
    assertMatch(message, /refused the credentials \(.*Authorization Violation.*\): check SUPERCHECK_NATS_CREDS/);
  }
  assertEquals(stores.connectionStatus(), "connecting");
  assertEquals(logger.lines, [`error: ${errors[0].message}. Calls return null, reconnecting`]);
});

Deno.test("JetStreamStores connects by itself once the server takes its credentials", async () => {
  await using server = await startNatsServer({ auth: { token: "old" } });
  const path = server.storeDir.replace(/store$/, "nats-server.conf");
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, token: "new", logger });
  await assertRejects(() => stores.connect(), JetStreamStoreError);
  await Deno.writeTextFile(path, (await Deno.readTextFile(path)).replace(`"old"`, `"new"`));
  Deno.kill(server.pid, "SIGHUP");
  await logger.until(/Connected/);
  assertEquals(await stores.storeKV("k", "v"), 1);
  // The other way round: whoever was let in is not any more.
  await Deno.writeTextFile(path, (await Deno.readTextFile(path)).replace(`"new"`, `"newer"`));
  Deno.kill(server.pid, "SIGHUP");
  await logger.until(/refused/, 2);
  assertEquals(await stores.loadKV("k"), null);
  assertEquals(stores.connectionStatus(), "reconnecting");
  assertEquals(logger.lines.map((line) => line.split(" ").slice(0, 2).join(" ")), [
    "error: NATS",
    "info: Connected",
    "warn: Disconnected",
    "error: NATS",
  ]);
});

Deno.test("JetStreamStores reads its credentials anew, so that renewed ones count", async () => {
  const [right, wrong] = [await makeCredentials(), await makeCredentials()];
  await using server = await startNatsServer({ auth: right.auth });
  const creds = await Deno.makeTempFile();
  await Deno.writeFile(creds, wrong.creds);
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, creds, logger });
  await assertRejects(() => stores.connect(), JetStreamStoreError, "refused");
  await Deno.writeFile(creds, right.creds);
  await logger.until(/Connected/);
  await Deno.remove(creds);
});

Deno.test("refused credentials end no process and leave no socket, 50 times over", async () => {
  await using server = await startNatsServer({ auth: { token: "right" } });
  const { code, stdout, stderr } = await runService(
    `
    addEventListener("unhandledrejection", (event) => console.log("rejected", event.reason));
    addEventListener("error", (event) => console.log("error", event.error));
    for (let i = 0; i < 50; i++) {
      const stores = new jetstream.JetStreamStores({ servers: "${server.url}", connectTimeout: 30_000, token: "wrong", logger: { info() {}, warn() {}, error() {} } });
      const error = await stores.connect().catch((error) => error);
      if (error?.code !== "auth") console.log(i, error);
      await stores.close();
    }
    console.log("done");`,
  );
  assertEquals({ code, stdout, stderr }, { code: 0, stdout: "done\n", stderr: "" });
  assertEquals((await server.monitor("/connz"))?.num_connections, 0);
});
