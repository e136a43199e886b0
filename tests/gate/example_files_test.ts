import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { startNatsServer } from "../../src/testing/mod.ts";
import { runDeno } from "../_support/run_deno.ts";
import { testFrom } from "../_support/test_from.ts";

const ROOT = new URL("../../", import.meta.url);

/** Examples that run at the same time. */
const MAX_RUNNING = 4;

interface Example {
  /** Where it stands. */
  place: string;
  code: string;
}

// Those that keep a worker alive until SIGTERM call closeOnSignals(): worker_examples_test.ts ends them.
testFrom("2.14")("each example of README.md and of the documentation ends as a file of its own", async () => {
  const examples = (await readExamples()).filter(({ code }) => !code.includes("closeOnSignals"));
  assert(examples.length > 30, `${examples.length} examples`);
  await using server = await startNatsServer();
  const directory = await Deno.makeTempDir();
  const failed: string[] = [];
  let next = 0;
  const runNext = async () => {
    for (let n = next++; n < examples.length; n = next++) {
      const { place, code } = examples[n];
      const file = `${directory}/example${n}.ts`;
      await Deno.writeTextFile(file, code);
      const args = ["run", "-A", "--no-lock", "--no-check", `--config=${ROOT.pathname}deno.json`, file];
      const run = await runDeno(args, { cwd: ROOT, env: { SUPERCHECK_NATS_URL: server.url } });
      if (run.code !== 0) failed.push(`${place}: ${run.stderr}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: MAX_RUNNING }, runNext));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  assertEquals(failed, []);
});

async function readExamples(): Promise<Example[]> {
  const examples: Example[] = [];
  for (const file of ["README.md", "mod.ts", ...await sourcesIn("src/")]) {
    const text = await Deno.readTextFile(new URL(file, ROOT));
    for (const { 0: block, index } of text.matchAll(/```ts\n.*?```/gs)) {
      const code = block.replaceAll(/^ *\* ?/gm, "").slice("```ts\n".length, -"```".length);
      examples.push({ place: `${file}:${text.slice(0, index).split("\n").length}`, code: withEntryPoints(code) });
    }
  }
  return examples;
}

/** The code with this checkout in place of the package. */
function withEntryPoints(code: string): string {
  return code.replaceAll(/"(?:jsr:)?@supercheck\/jetstream(\/\w+)?"/g, (_, name = "") => {
    const path = config.exports[`.${name}` as keyof typeof config.exports];
    return JSON.stringify(new URL(path, ROOT).href);
  });
}

async function sourcesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) files.push(...await sourcesIn(`${folder}${name}/`));
    else if (name.endsWith(".ts")) files.push(`${folder}${name}`);
  }
  return files;
}
