/** How a script of {@linkcode runScript} runs. */
export interface ScriptOptions {
  /** Environment variables, all there are. */
  env: Record<string, string>;
  /** Deno's flags, permissions above all. */
  flags?: string[];
  /** Whether it leads a process group of its own. */
  detached?: boolean;
}

/** A Deno process that runs a module whose text is given, with `testing` in reach: everything of src/testing/mod.ts. */
export function startScript(
  text: string,
  { env, flags = ["--allow-all"], detached }: ScriptOptions,
): Deno.ChildProcess {
  const code = `import * as testing from ${JSON.stringify(import.meta.resolve("../../src/testing/mod.ts"))};\n${text}`;
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-lock",
      "--no-config",
      ...flags,
      `data:text/typescript,${encodeURIComponent(code)}`,
    ],
    clearEnv: true,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    detached,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs such a process to its end; it has 20 s for that. */
export async function runScript(
  text: string,
  options: ScriptOptions,
): Promise<{ code: number; out: string; err: string }> {
  const script = startScript(text, options);
  const timer = setTimeout(() => script.kill("SIGKILL"), 60_000);
  const { code, stdout, stderr } = await script.output();
  clearTimeout(timer);
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, out: decode(stdout), err: decode(stderr) };
}

/** The first line that a process writes; it may go on. */
export async function firstLine(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0];
}
