import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { startNatsServer } from "../../src/testing/mod.ts";

/** Runtimes other than Deno, by the npm package that brings each. */
const RUNTIMES = [{ name: "Node.js", package: "node@24" }, { name: "Bun", package: "bun@1.4" }];

const WORKS = ["stores", "watch", "mirror", "retry", "dead letter", "ready"];

const ROOT = new URL("../../", import.meta.url);
const runs = Deno.env.get("INTEROP_RUNTIMES") === "1";
const unless = runs ? "" : " (not tested here: with INTEROP_RUNTIMES=1 only, as it installs them)";

/** A folder with the sources, and with what they import, as npm installs it. */
async function packageFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  for (const part of ["mod.ts", "src", "tests/gate/_runtime_smoke.ts"]) await copy(part, path);
  const packages = Object.values(config.imports).map((specifier) =>
    /^npm:((?:@[^/]+\/)?[^/]+)@([^/]+)$/.exec(specifier)
  )
    .filter((match) => match !== null).filter(([, name]) => name.startsWith("@nats-io/") || name === "croner");
  const dependencies = Object.fromEntries(packages.map(([, name, version]) => [name, version]));
  const devDependencies = { typescript: "5.9.3", "@types/node": "24.10.1" };
  await Deno.writeTextFile(`${path}/package.json`, JSON.stringify({ type: "module", dependencies, devDependencies }));
  await run(path, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts");
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function copy(part: string, folder: string): Promise<void> {
  const from = new URL(part, ROOT);
  if ((await Deno.stat(from)).isFile) {
    await Deno.mkdir(`${folder}/${part}`.replace(/\/[^/]+$/, ""), { recursive: true });
    return await Deno.copyFile(from, `${folder}/${part}`);
  }
  for await (const { name } of Deno.readDir(from)) await copy(`${part}/${name}`, folder);
}

async function run(cwd: string, command: string, ...args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, { cwd, args }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
}

for (const runtime of RUNTIMES) {
  Deno.test({
    name: `stores, watch, mirror, queue and an end by SIGTERM work in ${runtime.name}${unless}`,
    ignore: !runs,
    fn: async () => {
      await using server = await startNatsServer();
      await using folder = await packageFolder();
      // The runtime itself is to get the signal, not what installs it.
      await run(folder.path, "npm", "install", "--no-save", "--no-audit", "--no-fund", runtime.package);
      const [name] = runtime.package.split("@");
      await using child = new Deno.Command(`${folder.path}/node_modules/.bin/${name}`, {
        args: [`${folder.path}/tests/gate/_runtime_smoke.ts`],
        cwd: folder.path,
        env: { SUPERCHECK_NATS_URL: server.url },
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      let printed = "";
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        const before = printed;
        printed += text;
        if (!before.includes("ready\n") && printed.includes("ready\n")) child.kill("SIGTERM");
      }
      assertEquals(printed.trim().split("\n"), [...WORKS, "closed"]);
      assertEquals((await child.status).code, 0);
    },
  });
}

Deno.test({
  name: `mod.ts compiles with tsc, without Deno's types${unless}`,
  ignore: !runs,
  fn: async () => {
    await using folder = await packageFolder();
    const compilerOptions = {
      target: "esnext",
      module: "nodenext",
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      lib: ["esnext", "dom", "dom.asynciterable"],
      types: ["node"],
    };
    await Deno.writeTextFile(`${folder.path}/tsconfig.json`, JSON.stringify({ compilerOptions, files: ["mod.ts"] }));
    await run(folder.path, "node_modules/.bin/tsc", "-p", ".");
  },
});
