import { assertEquals } from "@std/assert";
import { MUTANTS } from "../mutants/mutants.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("each change of tests/mutants finds its place once, and the tests that should notice it", async () => {
  const lost: string[] = [];
  for (const { file, find, tests } of MUTANTS) {
    const text = await Deno.readTextFile(new URL(file, ROOT));
    if (text.split(find).length !== 2) lost.push(`${file}: ${find}`);
    for (const test of tests) if (!await Deno.stat(new URL(test, ROOT)).catch(() => null)) lost.push(test);
  }
  assertEquals(lost, []);
});
