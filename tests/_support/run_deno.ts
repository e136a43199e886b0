/** What a run of `deno` left. */
export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs this very `deno` with `args`, for at most five minutes, without colours. */
export async function runDeno(
  args: string[],
  options: { cwd: string | URL; env?: Record<string, string> },
): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: options.cwd,
    env: { NO_COLOR: "1", ...options.env },
    stdin: "null",
    signal: AbortSignal.timeout(300_000),
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}
