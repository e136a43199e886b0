import { assert, assertEquals } from "@std/assert";

const TESTS = new URL("../", import.meta.url);

/** Folders that hold a program of their own beside its tests: modules of it need not begin with `_`. */
const PROGRAMS = ["bench/", "chaos/", "ledger/", "mutants/", "servers/"];

const FILES = filesIn("");

Deno.test("every file of the tests is a test, is private to its folder, or belongs to a program that has a task", () => {
  for (const program of PROGRAMS) assert(FILES.includes(`${program}main.ts`), program);
  const others = FILES.filter((file) =>
    !/_test\.ts$|(^|\/)_/.test(file) && !PROGRAMS.some((program) => file.startsWith(program)) &&
    !file.endsWith("README.md")
  );
  assertEquals(others, []);
});

Deno.test("tests import what is private to their folder, or to one above, and what _support holds for all", async () => {
  const wrong: string[] = [];
  for (const file of FILES.filter((file) => file.endsWith(".ts"))) {
    const code = await Deno.readTextFile(new URL(file, TESTS));
    for (const [, path] of code.matchAll(/^(?:import|export)\b[^;]*? from "(\.[^"]+)";$/gm)) {
      const { href } = new URL(path, new URL(file, TESTS));
      const target = href.startsWith(TESTS.href) ? href.slice(TESTS.href.length) : "";
      const folder = /^((?:.*\/)?)_[^/]*\.ts$/.exec(target)?.[1];
      if (folder === undefined || target.startsWith("_support/")) continue;
      if (!file.startsWith(folder)) wrong.push(`${file} imports ${target}: what suites share stands in tests/_support`);
    }
  }
  assertEquals(wrong, []);
});

/** The files below a folder, hidden ones left out. */
function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder || ".", TESTS))].flatMap(({ name, isDirectory }) => {
    if (name.startsWith(".")) return [];
    return isDirectory ? filesIn(`${folder}${name}/`) : [`${folder}${name}`];
  });
}
