import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { runDeno } from "./_run_deno.ts";

const ROOT = new URL("../../", import.meta.url);
const DEMO_LOCK = "src/cli/deno.lock";

/** What is used here of a lock file. */
interface Lock {
  npm: Record<string, { integrity: string }>;
}

const readLock = async (path: string): Promise<Lock> => JSON.parse(await Deno.readTextFile(new URL(path, ROOT)));

Deno.test("the import map names only packages that the product uses; those of tests are behind tests/_packages", async () => {
  const packages = Object.entries(config.imports).filter(([, target]) => target.startsWith("npm:")).map(([name]) =>
    name
  );
  const sources = await Promise.all(
    ["mod.ts", ...sourcesIn("src/")].map((path) => Deno.readTextFile(new URL(path, ROOT))),
  );
  assertEquals(packages.filter((name) => !sources.some((source) => source.includes(`"${name}"`))), []);
});

function sourcesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) =>
    isDirectory ? sourcesIn(`${folder}${name}/`) : name.endsWith(".ts") ? [`${folder}${name}`] : []
  );
}

Deno.test("the lock file of the demo is up to date and has the packages of the root's: deno cache --lock=src/cli/deno.lock src/cli/demo.ts src/cli/main.ts", async () => {
  const programs = ["src/cli/demo.ts", "src/cli/main.ts"];
  const cached = await runDeno(["cache", `--lock=${DEMO_LOCK}`, "--frozen", ...programs], { cwd: ROOT });
  assertEquals(cached.code, 0, cached.stderr);
  const [demo, root] = await Promise.all([readLock(DEMO_LOCK), readLock("deno.lock")]);
  for (const [name, { integrity }] of Object.entries(demo.npm)) {
    assertEquals(root.npm[name]?.integrity, integrity, name);
  }
  for (const task of [config.tasks.demo, config.tasks.cli]) {
    assertEquals(task.includes(`--lock=${DEMO_LOCK} `), true, task);
  }
});
