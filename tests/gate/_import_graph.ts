import { runDeno } from "../_support/run_deno.ts";

/** An import: paths from the root of the repository, or `npm:` and `node:` specifiers. */
export interface Arrow {
  from: string;
  to: string;
}

/**
 * The house from top to bottom, each part named by how its paths begin. A file may import from its own part and from those below it in
 * one of the chains; parts side by side in one row know nothing of each other.
 */
const CHAINS = [
  [
    ["src/cli/"],
    ["src/dashboard/", "src/adapters/"],
    ["mod.ts"],
    ["src/functions.ts", "src/job_functions.ts"],
    ["src/process_stores.ts"],
    ["src/stores.ts"],
    ["src/object/", "src/kv/", "src/queue/"],
    ["src/bucket/"],
    ["src/wire/"],
    ["src/connection/"],
    ["src/telemetry/"],
    ["src/errors.ts", "src/settings.ts", "src/delay.ts"],
    ["src/options.ts"],
    ["src/checks.ts"],
    ["src/shown.ts"],
    ["npm:"],
    ["deno.json"],
  ],
  [["src/cli/"], ["src/testing/"], ["src/options.ts"], ["src/checks.ts"], ["src/shown.ts"]],
];
const PARTS = new Set(CHAINS.flat(2));

/** One sentence for each arrow that does not point down, or that reaches into another folder's private file. */
export function wrongArrows(arrows: Arrow[]): string[] {
  return arrows.flatMap(({ from, to }) => {
    if (to.startsWith("node:")) return [];
    if (!pointsDown(from, to)) return [`${from} must not import ${to}`];
    if (isPrivate(to) && folder(from) !== folder(to)) {
      return [`${from} must not import ${to}, which is private to its folder`];
    }
    return [];
  });
}

/** The files that no chain of imports leads to from `roots`. */
export function unreachable(files: string[], roots: string[], arrows: Arrow[]): string[] {
  const reached = new Set(roots);
  for (const file of reached) { // a Set yields what is added meanwhile, too
    for (const { from, to } of arrows) if (from === file) reached.add(to);
  }
  return files.filter((file) => !reached.has(file));
}

function pointsDown(from: string, to: string): boolean {
  const [upper, lower] = [partOf(from), partOf(to)];
  if (upper === undefined || lower === undefined) return false;
  return upper === lower || CHAINS.some((rows) => {
    const [high, low] = [upper, lower].map((part) => rows.findIndex((row) => row.includes(part)));
    return high >= 0 && high < low;
  });
}

function partOf(path: string): string | undefined {
  return PARTS.values().find((part) => path.startsWith(part));
}

function isPrivate(path: string): boolean {
  return path.slice(path.lastIndexOf("/") + 1).startsWith("_");
}

function folder(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

/** The imports of `files`, resolved as Deno resolves them. */
export async function readArrows(root: URL, files: string[]): Promise<Arrow[]> {
  const imports = files.map((file) => `import ${JSON.stringify(new URL(file, root).href)};`).join("");
  const info = await runDeno(["info", "--json", `data:text/typescript,${encodeURIComponent(imports)}`], { cwd: root });
  if (info.code !== 0) throw new Error(info.stderr);
  const graph: Graph = JSON.parse(info.stdout);
  const path = (specifier: string) => specifier.startsWith(root.href) ? specifier.slice(root.href.length) : specifier;
  return graph.modules
    .map(({ specifier, dependencies = [] }) => ({ from: path(specifier), dependencies }))
    .filter(({ from }) => files.includes(from))
    .flatMap(({ from, dependencies }) =>
      dependencies.flatMap(({ specifier, code, type }) =>
        [code, type].filter((end) => end !== undefined).map((end) => ({ from, to: path(end.specifier ?? specifier) }))
      )
    );
}

/** What is used here of the output of `deno info --json`. */
interface Graph {
  modules: { specifier: string; dependencies?: { specifier: string; code?: End; type?: End }[] }[];
}

/** Where an import leads; without a specifier when it leads nowhere. */
interface End {
  specifier?: string;
}
