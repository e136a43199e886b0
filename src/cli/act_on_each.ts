import { CommandFailure } from "./command_failure.ts";
import type { CommandLine } from "./command_line.ts";

/** What is done with each of a few things. */
export interface EachOptions {
  /** What a record calls the name of one. */
  field: "id" | "key" | "name";
  /** Does it; `false`: there was none of this name. */
  act(name: string): Promise<boolean>;
  /** What was done, for instance "deleted". */
  done: string;
  /** Tells that there were none of these names. */
  none(names: string): string;
}

/**
 * Does something with each of a few things, and prints a line for each.
 *
 * @throws {CommandFailure} Afterwards, if there were names without anything.
 */
export async function actOnEach(line: CommandLine, names: string[], options: EachOptions): Promise<void> {
  const { field, act, done, none } = options;
  const missing: string[] = [];
  for (const name of names) {
    if (!await act(name)) missing.push(name);
    else line.print({ [field]: name, [done]: true }, () => [`${done} ${name}`]);
  }
  if (missing.length > 0) throw new CommandFailure(none(missing.map((name) => JSON.stringify(name)).join(", ")));
}
