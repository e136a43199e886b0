import { assert, assertEquals } from "@std/assert";

const SRC = new URL("../../src/", import.meta.url);

/** Longest file, in lines. */
const MAX_FILE_LINES = 300;

/** Largest room, in lines: what is larger has a second purpose. */
const MAX_ROOM_LINES = 2_300;

/** Most files that lie beside the rooms of the queue. */
const MAX_QUEUE_FILES = 6;

Deno.test("no file of src is longer than 300 lines", async () => {
  const long = (await readFiles()).filter(({ lines }) => lines > MAX_FILE_LINES);
  assertEquals(long, []);
});

Deno.test("no room of the library has more than 2 300 lines", async () => {
  const rooms = Map.groupBy(await readFiles(), ({ path }) => path.slice(0, path.lastIndexOf("/") + 1));
  const large = [...rooms].filter(([room]) => !/^(cli|dashboard|testing)\//.test(room)).map(([room, files]) => ({
    room,
    lines: files.reduce((sum, { lines }) => sum + lines, 0),
  }))
    .filter(({ lines }) => lines > MAX_ROOM_LINES);
  assertEquals(large, []);
});

Deno.test("at most six files lie beside the rooms of the queue", async () => {
  const beside = (await readFiles()).filter(({ path }) => /^queue\/[^/]+$/.test(path));
  assertEquals(beside.slice(MAX_QUEUE_FILES), []);
});

Deno.test("README.md has 120 to 180 lines", async () => {
  const lines = (await Deno.readTextFile(new URL("../README.md", SRC))).split("\n").length - 1;
  assert(lines >= 120 && lines <= 180, `${lines}`);
});

async function readFiles(folder = ""): Promise<{ path: string; lines: number }[]> {
  const files = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, SRC))) {
    const path = `${folder}${name}`;
    if (isDirectory) files.push(...await readFiles(`${path}/`));
    else if (name.endsWith(".ts")) {
      const text = await Deno.readTextFile(new URL(path, SRC));
      files.push({ path, lines: text.split("\n").length - 1 });
    }
  }
  return files;
}
