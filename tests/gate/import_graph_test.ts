import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { cycles, privateFiles, readArrows, unreachable, wrongArrows } from "./_import_graph.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("imports of mod.ts and src point down without a cycle, private files have private names, every file is in use", async () => {
  const files = ["mod.ts", ...typescriptFiles("src/")];
  const arrows = await readArrows(ROOT, files);
  assert(arrows.length > 0);
  assertEquals(wrongArrows(arrows), []);
  assertEquals(cycles(arrows.filter(({ to }) => files.includes(to))), []);

  const entries = Object.values(config.exports).map((path) => path.slice("./".length));
  const commands = files.filter((file) => file.startsWith("src/cli/"));
  assertEquals(privateFiles(files, [...entries, ...commands], arrows), []);
  assertEquals(unreachable(files, [...entries, ...commands], arrows), []);
});

Deno.test("wrongArrows lets arrows pass that point down, stay in their part or lead to Deno and Node", () => {
  const arrows = [
    { from: "src/cli/demo.ts", to: "mod.ts" },
    { from: "src/cli/demo.ts", to: "src/testing/mod.ts" },
    { from: "mod.ts", to: "src/errors.ts" },
    { from: "src/stores.ts", to: "src/queue/queue.ts" },
    { from: "src/queue/queue.ts", to: "src/queue/_lease.ts" },
    { from: "src/queue/queue.ts", to: "src/queue/format/names.ts" },
    { from: "src/queue/work/_worker.ts", to: "src/queue/store/stream.ts" },
    { from: "src/kv/bucket.ts", to: "src/connection/connection.ts" },
    { from: "src/connection/connection.ts", to: "npm:@nats-io/nats-core@3.4.0" },
    { from: "src/testing/mod.ts", to: "node:fs" },
  ];
  assertEquals(wrongArrows(arrows), []);
});

for (
  const [from, to, why] of [
    ["src/wire/request.ts", "src/kv/bucket.ts", "up"],
    ["src/kv/bucket.ts", "src/stores.ts", "up"],
    ["src/stores.ts", "mod.ts", "up"],
    ["src/errors.ts", "src/wire/request.ts", "out of a leaf"],
    ["src/errors.ts", "src/settings.ts", "from leaf to leaf"],
    ["src/object/bucket.ts", "src/queue/queue.ts", "sideways"],
    ["src/queue/store/stream.ts", "src/queue/publish/publish_job.ts", "up within a room of rooms"],
    ["src/queue/work/_worker.ts", "src/queue/job_queue.ts", "up to the room around"],
    ["src/kv/bucket.ts", "src/testing/mod.ts", "from the product to its tests' servers"],
    ["src/testing/mod.ts", "src/errors.ts", "from the tests' servers to the product"],
    ["src/wire/request.ts", "tests/_support/assert.ts", "to the tests"],
    ["src/wire/request.ts", "src/elsewhere.ts", "to a file of no part"],
    ["src/elsewhere.ts", "src/errors.ts", "from a file of no part"],
    ["src/wire/request.ts", "https://example.com/mod.ts", "to another site"],
    ["src/stores.ts", "src/kv/_entry.ts", "to another folder's private file"],
    ["src/kv/watch/watch.ts", "src/kv/_entry.ts", "to the private file of the folder above"],
  ]
) {
  Deno.test(`wrongArrows reports an arrow that points ${why}: ${from} to ${to}`, () => {
    const right = { from: "mod.ts", to: "src/errors.ts" };
    const [report, ...more] = wrongArrows([right, { from, to }]);
    assert(report?.startsWith(`${from} must not import ${to}`), report);
    assertEquals(more, []);
  });
}

Deno.test("readArrows finds every kind of import", async () => {
  const folder = await Deno.makeTempDir();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const imports = [
    `import { b } from "./b.ts";`,
    `import type { C } from "./c.ts";`,
    `export * from "./d.ts";`,
    `export type { E } from "./e.ts";`,
    `const f = await import("./f.ts");`,
    `import { g } from "./missing.ts";`,
    `import "node:fs";`,
  ];
  await Deno.writeTextFile(`${folder}/a.ts`, imports.join("\n"));
  for (const name of "bcdef") await Deno.writeTextFile(`${folder}/${name}.ts`, "");
  const arrows = await readArrows(new URL(`file://${folder}/`), ["a.ts"]);
  assertEquals(arrows.map(({ to }) => to), ["b.ts", "c.ts", "d.ts", "e.ts", "f.ts", "missing.ts", "node:fs"]);
});

Deno.test("cycles names each circle of imports once", () => {
  const arrow = (from: string, to: string) => ({ from, to });
  const down = [arrow("a.ts", "b.ts"), arrow("a.ts", "c.ts"), arrow("b.ts", "c.ts")];
  assertEquals(cycles(down), []);
  assertEquals(cycles([...down, arrow("c.ts", "a.ts"), arrow("d.ts", "d.ts")]), [
    "a.ts → c.ts → a.ts",
    "b.ts → c.ts → a.ts → b.ts",
  ]);
});

Deno.test("privateFiles names what only its own folder imports, without a private name", () => {
  const arrows = [
    { from: "mod.ts", to: "src/kv/bucket.ts" },
    { from: "src/kv/bucket.ts", to: "src/kv/entry.ts" },
    { from: "src/kv/bucket.ts", to: "src/kv/_write.ts" },
  ];
  const files = ["mod.ts", "src/kv/bucket.ts", "src/kv/entry.ts", "src/kv/_write.ts", "src/kv/main.ts"];
  assertEquals(privateFiles(files, ["src/kv/main.ts"], arrows), ["src/kv/entry.ts"]);
});

Deno.test("unreachable names the files that no entry point leads to", () => {
  const arrows = [{ from: "a.ts", to: "b.ts" }, { from: "b.ts", to: "c.ts" }, { from: "lost.ts", to: "found.ts" }];
  assertEquals(unreachable(["a.ts", "b.ts", "c.ts", "lost.ts", "found.ts"], ["a.ts"], arrows), ["lost.ts", "found.ts"]);
});

function typescriptFiles(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return typescriptFiles(`${folder}${name}/`);
    return name.endsWith(".ts") ? [`${folder}${name}`] : [];
  });
}
