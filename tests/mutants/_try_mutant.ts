import type { Mutant } from "./mutant.ts";

/** What became of a mutant: `noticed` by a test, or not; `unclear`: its text is not there once. */
export type Fate = "noticed" | "unnoticed" | "unclear";

/** Milliseconds that tests may take; those that hang have noticed. */
const TIMEOUT = 600_000;

/** Changes a copy of the project, runs the tests that are to notice, and changes it back. */
export async function tryMutant({ file, find, replace, tests }: Mutant, copy: string): Promise<Fate> {
  const path = `${copy}/${file}`;
  const text = await readIfThere(path);
  if (text === null || text.split(find).length !== 2) return "unclear";
  await Deno.writeTextFile(path, text.replace(find, () => replace));
  try {
    return await runTests(tests, copy) ? "unnoticed" : "noticed";
  } finally {
    await Deno.writeTextFile(path, text);
  }
}

/** Whether all tests pass. */
export async function runTests(tests: string[], copy: string): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--quiet", "--fail-fast", ...tests],
    cwd: copy,
    env: { SUPERCHECK_NATS_URL: "" },
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(TIMEOUT),
  }).output();
  return success;
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
