import { runDeno } from "../_support/run_deno.ts";

/** An import: paths from the root of the repository, or `npm:` and `node:` specifiers. */
export interface Arrow {
  from: string;
  to: string;
}

const QUEUE = ["", "work/", "source/", "delivery/", "manage/", "publish/", "store/", "format/"].map((
  room,
) => [`src/queue/${room}`]);

/** Above the rooms that keep something on a server. */
const TOP = [
  ["src/cli/"],
  ["src/dashboard/", "src/adapters/"],
  ["mod.ts"],
  ["src/functions.ts", "src/job_functions.ts"],
  ["src/process_stores.ts"],
  ["src/stores.ts"],
];

/** Below them. */
const GROUND = [
  ["src/bucket/"],
  ["src/wire/follow/"],
  ["src/wire/"],
  ["src/wire/requests/"],
  ["src/connection/"],
  ["src/connection/nats/"],
  ["src/telemetry/"],
  ["src/errors.ts", "src/settings.ts", "src/delay.ts", "src/rejecting.ts"],
  ["src/options.ts"],
  ["src/checks.ts"],
  ["src/shown.ts"],
  ["npm:"],
  ["deno.json"],
];

/**
 * The house from top to bottom, each room named by how its paths begin. A file may import from its own room and from those below it in one of the
 * chains; rooms side by side in one row know nothing of each other.
 */
const CHAINS = [
  [...TOP, ["src/object/", "src/kv/"], ["src/object/http/"], ...GROUND],
  [...TOP, ...QUEUE, ...GROUND],
  [["src/cli/"], ["src/testing/"], ["src/options.ts"], ["src/checks.ts"], ["src/shown.ts"]],
];

/** The longest beginning comes first: a room within a room is its own. */
const ROOMS = [...new Set(CHAINS.flat(2))].sort((a, b) => b.length - a.length);

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

/** Files that import each other in a circle: each circle once, as the shortest way around. */
export function cycles(arrows: Arrow[]): string[] {
  const imports = Map.groupBy(arrows.filter(({ from, to }) => from !== to), ({ from }) => from);
  const wayTo = (end: string) => {
    const ways: string[][] = [[end]];
    const seen = new Set<string>();
    for (const way of ways) {
      for (const { to } of imports.get(way.at(-1)!) ?? []) {
        if (to === end) return way;
        if (!seen.has(to)) ways.push([...way, to]);
        seen.add(to);
      }
    }
    return null;
  };
  const found = new Map<string, string>();
  for (const file of imports.keys()) {
    const way = wayTo(file);
    const members = [...way ?? []].sort().join();
    if (way && !found.has(members)) found.set(members, [...way, file].join(" → "));
  }
  return [...found.values()];
}

/**
 * The files of a folder that nothing outside it imports: private, so their names must begin with `_`. `entries` are for all, and where one of them is
 * a `mod.ts` it is the only door of its folder.
 */
export function privateFiles(files: string[], entries: string[], arrows: Arrow[]): string[] {
  const used = new Set(arrows.filter(({ from, to }) => folder(from) !== folder(to)).map(({ to }) => to));
  const isOpen = (file: string) =>
    used.has(file) || entries.includes(file) || entries.includes(`${folder(file)}mod.ts`);
  return files.filter((file) => folder(file) !== "" && !isPrivate(file) && !isOpen(file));
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
  const [upper, lower] = [roomOf(from), roomOf(to)];
  if (upper === undefined || lower === undefined) return false;
  return upper === lower || CHAINS.some((rows) => {
    const [high, low] = [upper, lower].map((room) => rows.findIndex((row) => row.includes(room)));
    return high >= 0 && high < low;
  });
}

function roomOf(path: string): string | undefined {
  return ROOMS.find((room) => path.startsWith(room));
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
