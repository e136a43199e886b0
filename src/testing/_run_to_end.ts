import type { GuardedDirectory } from "./_guarded_directory.ts";

/** Options of {@linkcode runToEnd}. */
export interface RunOptions {
  /**
   * Longest time, in milliseconds.
   * @default 90_000
   */
  timeout?: number;
  /** More environment variables. */
  env?: Record<string, string>;
  /** Aborting kills the program. */
  signal?: AbortSignal;
}

/**
 * Runs a program in a directory, which also takes its temporary files, to its successful end.
 * @throws {Error} When it fails, with what it wrote last, or takes too long.
 */
export async function runToEnd(
  directory: GuardedDirectory,
  [program, ...args]: string[],
  { timeout = 90_000, env, signal }: RunOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const child = directory.spawn(program, args, { cwd: directory.path, env: { TMPDIR: directory.path, ...env } });
  const kill = () => {
    if (child.code === null) child.kill("SIGKILL");
  };
  let tooLate = false;
  const timer = setTimeout(() => {
    tooLate = true;
    kill();
  }, timeout);
  signal?.addEventListener("abort", kill);
  await child.exited();
  clearTimeout(timer);
  signal?.removeEventListener("abort", kill);
  if (tooLate) throw new Error(`${program} took longer than ${timeout / 1000} s`);
  if (child.code !== 0) throw new Error(`${program} ended with code ${child.code}: ${directory.log(600).trim()}`);
}
