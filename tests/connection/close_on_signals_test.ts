import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { within } from "../_support/wait_until.ts";

const MOD = new URL("../../mod.ts", import.meta.url).href;

/** Runs a script that waits for signals. */
function start(url: string, code: string) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", `import { JetStreamStores } from "${MOD}"; ${code}`],
    env: { SERVER: url, SUPERCHECK_NATS_URL: "" },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return { process, printed: () => within(reader.read(), 60_000).then(({ value }) => value?.trim()), reader };
}

const STORES = `const stores = new JetStreamStores({ servers: Deno.env.get("SERVER"), logger: false });
  await stores.connect();`;

Deno.test("closeOnSignals closes on the first signal, with the newest options, and a second one ends the process", async () => {
  await using server = await startNatsServer();
  const { process, printed, reader } = start(
    server.url,
    `${STORES} await stores.publishJob("q", 1);
    const worker = stores.jobQueue("q").consume(() => new Promise(() => console.log("runs")));
    stores.closeOnSignals({ signals: ["SIGHUP"] });
    stores.closeOnSignals({ signals: ["SIGTERM"], deadline: 600_000 });
    setInterval(() => worker.status().state === "stopping" && console.log("stopping"), 10);`,
  );
  assertEquals(await printed(), "runs");
  process.kill("SIGTERM");
  // The job that runs may finish, so the process is still there.
  assertEquals((await printed())?.split("\n")[0], "stopping");
  process.kill("SIGTERM");
  assertEquals((await within(process.status, 60_000)).signal, "SIGTERM");
  await reader.cancel();
});

Deno.test("closeOnSignals keeps no process alive, and close() ends it", async () => {
  await using server = await startNatsServer();
  const { process, printed, reader } = start(
    server.url,
    `${STORES} stores.closeOnSignals(); await stores.close(); console.log("closed");
    setInterval(() => {}, 1_000);`,
  );
  assertEquals(await printed(), "closed");
  process.kill("SIGTERM");
  assertEquals((await within(process.status, 60_000)).signal, "SIGTERM");
  await reader.cancel();
  const ending = start(server.url, `${STORES} stores.closeOnSignals(); await stores.close();`);
  assertEquals((await within(ending.process.status, 60_000)).code, 0);
  await ending.reader.cancel();
});
