import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { runDeno } from "../_support/run_deno.ts";

const ROOT = new URL("../../", import.meta.url);
const LOCK = "deno.lock";
const DEMO_LOCK = "src/cli/deno.lock";

/** What is used here of a lock file. */
interface Lock {
  npm: Record<string, { integrity: string; scripts?: boolean }>;
}

const readLock = async (path: string): Promise<Lock> => JSON.parse(await Deno.readTextFile(new URL(path, ROOT)));

Deno.test("the import map names only packages that the product uses; those of tests are behind tests/_support/packages", async () => {
  const packages = Object.entries(config.imports).filter(([, target]) => target.startsWith("npm:")).map(([name]) =>
    name
  );
  const sources = await Promise.all(
    ["mod.ts", ...filesIn("src/")].map((path) => Deno.readTextFile(new URL(path, ROOT))),
  );
  const imported = (name: string) => sources.some((source) => new RegExp(`^[^*/]*["']${name}["']`, "m").test(source));
  assertEquals(packages.filter((name) => !imported(name)), []);
});

/** The TypeScript files in a folder, those in hidden folders left out. */
function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return name.startsWith(".") ? [] : filesIn(`${folder}${name}/`);
    return name.endsWith(".ts") ? [`${folder}${name}`] : [];
  });
}

Deno.test("the lock files are up to date: deno task lock", async () => {
  const [demo, root] = await Promise.all([readLock(DEMO_LOCK), readLock(LOCK)]);
  for (const [lock, files] of [[DEMO_LOCK, ["src/cli/demo.ts", "src/cli/main.ts"]], [LOCK, filesIn("./")]] as const) {
    const cached = await runDeno(["cache", `--lock=${lock}`, "--frozen", ...files], { cwd: ROOT });
    assertEquals(cached.code, 0, cached.stderr);
  }
  for (const [name, { integrity }] of Object.entries(demo.npm)) {
    assertEquals(root.npm[name]?.integrity, integrity, name);
  }
});

Deno.test("the demo and the command line download what the product needs only, and nothing that runs scripts when it is installed", async () => {
  const { npm } = await readLock(DEMO_LOCK);
  const names = Object.keys(npm).map((name) => name.slice(0, name.lastIndexOf("@")));
  const clients = ["@nats-io/nats-core", "@nats-io/nkeys", "@nats-io/nuid", "tweetnacl"];
  assertEquals(names.sort(), [...clients, "@opentelemetry/api", "commander", "hono"].sort());
  assertEquals(Object.entries(npm).filter(([, { scripts }]) => scripts), []);
});

Deno.test("no lock file is in force for `deno task`, which would download all of it, and each task names its own", () => {
  assertEquals(config.lock, false);
  for (const [name, task] of Object.entries(config.tasks)) {
    const command = typeof task === "string" ? task : task.command;
    const lock = ["demo", "cli"].includes(name) ? DEMO_LOCK : LOCK;
    if (/^(\w+=\S* )*deno (run|test|check|doc) /.test(command)) {
      assertEquals(command.includes(` --lock=${lock} `), true, `${name}: ${command}`);
    }
  }
});
