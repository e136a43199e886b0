import { CommandFailure, EXIT } from "./command_failure.ts";
import type { CommandLine } from "./command_line.ts";

/**
 * Asks before something is destroyed, unless `--yes` was given.
 *
 * @param what What would be done, for instance "delete 2 keys".
 * @throws {CommandFailure} If the answer is no, or there is nobody to ask.
 */
export async function confirm(line: CommandLine, what: string): Promise<void> {
  if (line.yes) return;
  const { screen, signal } = line;
  if (!Deno.stdin.isTerminal()) {
    throw new CommandFailure(`will not ${what} without --yes: there is no terminal to ask at`, EXIT.usage);
  }
  screen.ask(`${screen.noteColours.yellow(`${what[0].toUpperCase()}${what.slice(1)}?`)} [y/N] `);
  const answer = await firstLine(signal);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure("nothing was changed");
}

async function firstLine(signal: AbortSignal): Promise<string> {
  const { promise: interrupted, resolve } = Promise.withResolvers<null>();
  signal.addEventListener("abort", () => resolve(null), { once: true });
  const buffer = new Uint8Array(256);
  const read = await Promise.race([Deno.stdin.read(buffer), interrupted]);
  return new TextDecoder().decode(buffer.subarray(0, read ?? 0));
}
