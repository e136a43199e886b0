import { CommandFailure } from "./command_failure.ts";

/** Exit code of shells for a program that is not there. */
const NOT_FOUND = 127;

/** Starts a program, whose input and output are those of this process unless `options` says otherwise. */
export function spawnProgram(program: string, options: Deno.CommandOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(program, { stdin: "inherit", ...options }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CommandFailure(`there is no program ${program}`, NOT_FOUND, { cause: error });
  }
}
