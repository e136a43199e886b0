import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { startNatsServer } from "../../src/testing/mod.ts";
import { LoopbackRegistry } from "./_loopback_registry.ts";
import { runDeno } from "../_support/run_deno.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("the package, published and imported from jsr:, stores and loads a value", async () => {
  await using registry = new LoopbackRegistry();
  const env = { JSR_URL: registry.url };
  const publish = await runDeno(["publish", "--allow-dirty", "--no-check", "--no-provenance", "--token=any"], {
    cwd: ROOT,
    env,
  });
  assertEquals(publish.code, 0, publish.stderr);
  assertEquals(
    registry.files.filter((path) => !/^(mod\.ts|src\/.+\.(ts|md)|README\.md|LICENSE|deno\.json)$/.test(path)),
    [],
  );

  await using server = await startNatsServer();
  await using app = await appFolder(
    ...Object.keys(config.exports).map((entry) => `import "jsr:${config.name}${entry.slice(1)}";`),
    `import { close, loadKV, storeKV } from "jsr:${config.name}";`,
    `console.log(await storeKV("greeting", "hello"), await loadKV("greeting"));`,
    `await close();`,
  );
  const run = await runDeno(["run", "--allow-net", "--allow-env", "app.ts"], {
    cwd: app.path,
    env: { ...env, DENO_DIR: `${app.path}/cache`, SUPERCHECK_NATS_URL: server.url },
  });
  assertEquals(run.stdout, `1 { key: "greeting", val: "hello" }\n`, run.stderr);
  assertEquals(run.code, 0, run.stderr);
});

/** A folder with `app.ts` and a cache of its own that knows nothing but the npm packages that are here already. */
async function appFolder(...lines: string[]): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "jsr-import-" });
  const { npmCache } = JSON.parse((await runDeno(["info", "--json"], { cwd: ROOT })).stdout);
  await Deno.mkdir(`${path}/cache`);
  await Deno.symlink(npmCache, `${path}/cache/npm`);
  await Deno.writeTextFile(`${path}/app.ts`, lines.join("\n"));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
