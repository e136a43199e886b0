import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

Deno.test("src/README.md names files that exist, and every room of the library", async () => {
  const map = await Deno.readTextFile(new URL("src/README.md", ROOT));
  const named = Array.from(map.matchAll(/(?<![\w./])(?:[\w.]+\/)*(?:[\w.]+\.ts|(?<=\/))(?![\w/])/g), ([path]) => path);
  assert(named.length > 0);
  const paths = ["mod.ts", ...await pathsIn("src/"), ...await pathsIn("tests/gate/")];
  assertEquals(named.filter((name) => !paths.some((path) => `/${path}`.endsWith(`/${name}`))), []);

  const rooms = paths.filter((path) => path.endsWith("/")).map((path) => path.slice("src/".length));
  assertEquals(rooms.filter((room) => !/^cli\/./.test(room) && !named.includes(room)), []);
});

/** All files and folders below a folder; those of folders end with a slash. */
async function pathsIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}${name}${isDirectory ? "/" : ""}`;
    paths.push(path, ...isDirectory ? await pathsIn(path) : []);
  }
  return paths;
}
