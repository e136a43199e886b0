import { Option } from "commander";
import { CommandFailure, EXIT } from "./command_failure.ts";
import type { CommandLine } from "./command_line.ts";

/** The options of a command that destroys something. */
export interface ConfirmOptions {
  /** Whether it only says what it would do. */
  dryRun?: boolean;
}

/** The option by which a command only says what it would destroy. */
export function dryRunOption(): Option {
  return new Option("--dry-run", "only say what would be done");
}

/**
 * Asks before something is destroyed, unless `--yes` was given; with `--dry-run` only says what would be done.
 *
 * @param what What would be done, for instance "delete 2 keys".
 * @returns Whether it is to be done.
 * @throws {CommandFailure} If the answer is no, or there is no terminal to ask at.
 */
export async function confirm(line: CommandLine, what: string, { dryRun = false }: ConfirmOptions): Promise<boolean> {
  if (dryRun) {
    line.print({ dryRun, would: what }, () => [`would ${what}`]);
    return false;
  }
  if (line.yes) return true;
  const { screen, signal } = line;
  if (!Deno.stdin.isTerminal()) {
    throw new CommandFailure(`will not ${what} without --yes: there is no terminal to ask at`, EXIT.usage);
  }
  screen.ask(`${screen.noteColours.yellow(`${what[0].toUpperCase()}${what.slice(1)}?`)} [y/N] `);
  const answer = await firstLine(signal);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure("nothing was changed");
  return true;
}

async function firstLine(signal: AbortSignal): Promise<string> {
  const { promise: interrupted, resolve } = Promise.withResolvers<null>();
  signal.addEventListener("abort", () => resolve(null), { once: true });
  const buffer = new Uint8Array(256);
  const read = await Promise.race([Deno.stdin.read(buffer), interrupted]);
  return new TextDecoder().decode(buffer.subarray(0, read ?? 0));
}
