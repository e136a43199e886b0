// Applies each mutant to a copy and runs the tests that are to notice it: `deno task test:mutants [part of a file's name, or of what the change does ...]`.
import { MUTANTS } from "./mutants.ts";
import { runTests, tryMutant } from "./_try_mutant.ts";

/** What a copy of the project needs. */
const PARTS = ["mod.ts", "src", "tests", "deno.json", "deno.lock", "README.md"];

const copy = await Deno.makeTempDir({ prefix: "mutants-" });
try {
  await new Deno.Command("cp", { args: ["-r", ...PARTS, copy] }).output();
  const isWanted = (text: string) => Deno.args.length === 0 || Deno.args.some((part) => text.includes(part));
  const wanted = MUTANTS.filter(({ file, does }) => isWanted(file) || isWanted(does));
  const tests = [...new Set(wanted.flatMap(({ tests }) => tests))];
  for (const test of tests) {
    if (!await runTests([test], copy)) throw new Error(`${test} does not pass without a mutant`);
  }
  const counts = { noticed: 0, unnoticed: 0, unclear: 0 };
  for (const mutant of wanted) {
    const fate = await tryMutant(mutant, copy);
    counts[fate]++;
    console.log(`${fate.padEnd(9)} ${mutant.file}: ${mutant.does}`);
  }
  console.log(`${counts.noticed} of ${wanted.length} mutants were noticed`);
  if (counts.noticed < wanted.length) Deno.exit(1);
} finally {
  await Deno.remove(copy, { recursive: true });
}
