import type { CollectedSuite } from "./_collected_suite.ts";

/** Keyv's own tests of storage adapters. */
export interface KeyvSuite {
  /** Tests of methods, values and namespaces. */
  default(test: CollectedSuite, keyv: unknown, store: () => unknown): void;
  keyvIteratorTests(test: CollectedSuite, keyv: unknown, store: () => unknown): void;
}

const PACKAGE = "@keyv/test-suite@2.1.2";

/** Where what the suite imports comes from: its own dependencies name Vitest and more, which Deno would download and which npm has not all of. */
const IMPORTS: Record<string, string> = {
  buffer: "node:buffer",
  keyv: packageUrl("keyv5"),
  timekeeper: packageUrl("timekeeper"),
  "bignumber.js": packageUrl("bignumber_js"),
  "json-bigint": packageUrl("json_bigint"),
};

/** Loads the suite of the package, as npm has it. */
export async function loadKeyvSuite(): Promise<KeyvSuite> {
  const directory = await Deno.makeTempDir({ prefix: "keyv-suite-" });
  try {
    const archive = (await run(directory, "npm", "pack", "--silent", PACKAGE)).trim();
    await run(directory, "tar", "xzf", archive);
    const code = await Deno.readTextFile(`${directory}/package/dist/index.js`);
    const file = `${directory}/suite.js`;
    await Deno.writeTextFile(file, code.replaceAll(/ from "([^"]+)"/g, (_, name) => ` from "${IMPORTS[name]}"`));
    return await import(`file://${file}`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function packageUrl(name: string): string {
  return new URL(`../_support/packages/${name}.ts`, import.meta.url).href;
}

async function run(cwd: string, program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
