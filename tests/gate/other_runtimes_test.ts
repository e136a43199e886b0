import { assertEquals, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { startNatsServer } from "../../src/testing/mod.ts";
import { packageFolder, runProgram } from "../_support/package_folder.ts";

/** Runtimes other than Deno, by the npm package that brings each. */
const RUNTIMES = [{ name: "Node.js", package: "node@24" }, { name: "Bun", package: "bun@1.4" }];

const WORKS = ["stores", "watch", "mirror", "retry", "dead letter", "dashboard", "ready"];

const TYPES = { typescript: "5.9.3", "@types/node": "24.10.1" };
const runs = Deno.env.get("INTEROP_RUNTIMES") === "1";
const unless = runs ? "" : " (not tested here: with INTEROP_RUNTIMES=1 only, as it installs them)";

for (const runtime of RUNTIMES) {
  Deno.test({
    name: `stores, watch, mirror, queue, dashboard and an end by SIGTERM work in ${runtime.name}${unless}`,
    ignore: !runs,
    fn: async () => {
      await using server = await startNatsServer();
      await using folder = await packageFolder(["tests/gate/_runtime_smoke.ts"], TYPES);
      // The runtime itself is to get the signal, not what installs it.
      await runProgram(folder.path, "npm", "install", "--no-save", "--no-audit", "--no-fund", runtime.package);
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
  name: `mod.ts and the dashboard compile with tsc, without Deno's types${unless}`,
  ignore: !runs,
  fn: async () => {
    await using folder = await packageFolder(["tests/gate/_runtime_smoke.ts"], TYPES);
    const compilerOptions = {
      target: "esnext",
      module: "nodenext",
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      lib: ["esnext", "dom", "dom.asynciterable"],
      types: ["node"],
    };
    await Deno.writeTextFile(
      `${folder.path}/tsconfig.json`,
      JSON.stringify({ compilerOptions, files: ["mod.ts", "src/dashboard/mod.ts"] }),
    );
    await runProgram(folder.path, "node_modules/.bin/tsc", "-p", ".");
  },
});

Deno.test({
  name: `The command line and testing say in Node.js that they need Deno, before anything else fails${unless}`,
  ignore: !runs,
  fn: async () => {
    await using folder = await packageFolder(["deno.json"]);
    await runProgram(folder.path, "npm", "install", "--no-save", "--no-audit", "--no-fund", RUNTIMES[0].package);
    for (const [part, says] of [["cli", "The command line needs Deno"], ["testing", "testing needs Deno"]]) {
      const file = config.exports[`./${part}` as "./cli"];
      const error = await runProgram(folder.path, "node_modules/.bin/node", file).then(() => null, (error) => error);
      assertStringIncludes(String(error), says);
    }
  },
});
