import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { runDeno } from "../_support/run_deno.ts";

const ROOT = new URL("../../", import.meta.url);

/** Columns that a code sample has on a page of JSR; more is hidden behind a scroll bar. */
const SAMPLE_COLUMNS = 80;

/** Interfaces that people start from, as they do from functions and classes. */
const STARTING_POINTS = ["JobQueue", "Job"];

/** What is used here of the output of `deno doc --json`. */
interface Documentation {
  nodes: Record<string, { module_doc?: Comment; symbols: { name: string; declarations: Declaration[] }[] }>;
}

interface Declaration {
  kind: string;
  jsDoc?: Comment;
  def: { methods?: { jsDoc?: Comment; functionDef?: unknown; name: string }[] };
}

interface Comment {
  doc?: string;
  tags?: { kind: string; doc?: string }[];
}

/** The exported symbols of all entry points. */
async function symbols(): Promise<{ name: string; declaration: Declaration }[]> {
  const documentation = await readDocumentation();
  return Object.values(documentation.nodes).flatMap(({ symbols }) =>
    symbols.flatMap(({ name, declarations }) => declarations.map((declaration) => ({ name, declaration })))
  );
}

async function readDocumentation(): Promise<Documentation> {
  const run = await runDeno(["doc", "--json", ...Object.values(config.exports)], { cwd: ROOT });
  assertEquals(run.code, 0, run.stderr);
  return JSON.parse(run.stdout);
}

const has = (tag: string) => ({ declaration: { jsDoc } }: { declaration: Declaration }) =>
  jsDoc?.tags?.some(({ kind }) => kind === tag) ?? false;

Deno.test("every exported symbol stands in a category of the documentation", async () => {
  const all = await symbols();
  assert(all.length > 100);
  assertEquals(all.filter((symbol) => !has("category")(symbol)).map(({ name }) => name), []);
});

Deno.test("every exported function and class, and what people start from, has an example", async () => {
  const starting = (await symbols()).filter(({ name, declaration: { kind } }) =>
    kind === "function" || kind === "class" || STARTING_POINTS.includes(name)
  );
  assert(STARTING_POINTS.every((name) => starting.some((symbol) => symbol.name === name)));
  assertEquals(starting.filter((symbol) => !has("example")(symbol)).map(({ name }) => name), []);
});

Deno.test("JobQueue documents each of its methods on its own page", async () => {
  const { JobQueue } = Object.fromEntries((await symbols()).map(({ name, declaration }) => [name, declaration]));
  const names = JobQueue.def.methods?.map(({ name }) => name) ?? [];
  for (const name of ["publish", "consume", "cancel", "waitFor", "schedule", "deadLetters", "events"]) {
    assert(names.includes(name), name);
  }
  assertEquals(JobQueue.def.methods?.filter(({ jsDoc }) => !jsDoc?.doc).map(({ name }) => name), []);
});

Deno.test(`lines of code samples in the documentation have at most ${SAMPLE_COLUMNS} columns`, async () => {
  const wide: string[] = [];
  for (const file of ["mod.ts", ...sources("src/")]) {
    let isSample = false;
    for (const [i, line] of (await Deno.readTextFile(new URL(file, ROOT))).split("\n").entries()) {
      const text = /^ *\* ?(.*)$/.exec(line)?.[1];
      if (text === undefined) continue;
      if (text.startsWith("```")) isSample = !isSample;
      else if (isSample && text.length > SAMPLE_COLUMNS) wide.push(`${file}:${i + 1}: ${text}`);
    }
  }
  assertEquals(wide, []);
});

/** The TypeScript files in a folder. */
function sources(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return sources(`${folder}${name}/`);
    return name.endsWith(".ts") ? [`${folder}${name}`] : [];
  });
}
