import { StartedCommand } from "./_start_command.ts";

const path = (file: string) => new URL(`../../src/cli/${file}`, import.meta.url).pathname;

/** Whether there is the `script` of util-linux, which runs a program in a terminal. */
export const hasTerminal = Deno.build.os === "linux";

/** How a command is started. */
export interface StartOptions {
  env?: Record<string, string>;
  /** Whether it runs in a terminal of 100 × 40 characters; all that it writes is `stdout` then. */
  terminal?: boolean;
}

/** Starts one of the programs in `src/cli`, as a shell would. */
export function start(file: "demo.ts" | "main.ts", args: string[], options: StartOptions = {}): StartedCommand {
  const { terminal = false } = options;
  // A shell names the program that it runs, whatever runs these tests.
  const env = { _: Deno.execPath(), ...options.env };
  // Quiet is Deno itself, which would tell in colours of what it downloads.
  const command = [Deno.execPath(), "run", "-A", "--no-check", "--quiet", path(file), ...args];
  if (!terminal) return new StartedCommand(command[0], command.slice(1), env);
  const line = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return new StartedCommand("script", ["-qec", `stty cols 100 rows 40; exec ${line}`, "/dev/null"], env);
}

/** What a program left. */
export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one of the programs to its end. */
export async function run(
  file: "demo.ts" | "main.ts",
  args: string[],
  options: StartOptions & { input?: string | Uint8Array } = {},
): Promise<Run> {
  await using command = start(file, args, options);
  if (options.input !== undefined) await command.write(options.input);
  if (!options.terminal) await command.closeInput();
  const code = await command.end();
  return { code, stdout: command.stdout, stderr: command.stderr };
}
