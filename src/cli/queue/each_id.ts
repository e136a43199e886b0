import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";

/**
 * Does something with each of a few ids, and tells of each.
 *
 * @param act `false`: there was none of this id.
 * @throws {CommandFailure} Afterwards, if there were ids without anything.
 */
export async function eachId(
  line: CommandLine,
  ids: string[],
  { act, done, none }: { act: (id: string) => Promise<boolean>; done: string; none: string },
): Promise<void> {
  const missing: string[] = [];
  for (const id of ids) {
    if (!await act(id)) missing.push(id);
    else line.print({ id, [done]: true }, () => [`${done} ${id}`]);
  }
  if (missing.length > 0) throw new CommandFailure(`${none} ${missing.map((id) => JSON.stringify(id)).join(", ")}`);
}
