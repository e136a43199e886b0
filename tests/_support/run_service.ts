/** How a service of {@linkcode runService} runs. */
export interface ServiceOptions {
  /** Environment variables; those of the tests' own process are not there. */
  env?: Record<string, string>;
  /**
   * Permissions.
   * @default {["--allow-all"]}
   */
  flags?: string[];
  /**
   * Milliseconds that it may take.
   * @default {60_000}
   */
  limit?: number;
}

/** How a service ended, and what it printed. */
export interface ServiceRun {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the text of a program, with the functions of mod.ts in reach, as a process of its own. */
export async function runService(text: string, options: ServiceOptions = {}): Promise<ServiceRun> {
  await using service = startService(text, options);
  return await service.ended;
}

/** A service under way; killed at disposal. */
export interface Service extends AsyncDisposable {
  /** Resolves when it has printed a line with this text. */
  printed(text: string): Promise<void>;
  ended: Promise<ServiceRun>;
}

/** Starts what {@linkcode runService} runs. */
export function startService(
  text: string,
  { env = {}, flags = ["--allow-all"], limit = 60_000 }: ServiceOptions = {},
): Service {
  const root = new URL("../..", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--frozen",
      `--config=${new URL("deno.json", root).pathname}`,
      ...flags,
      "-",
    ],
    clearEnv: true,
    env: { ...inherited(), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(limit),
  }).spawn();
  const code = `import * as jetstream from "${new URL("mod.ts", root)}";\n${text}`;
  const written = ReadableStream.from([new TextEncoder().encode(code)]).pipeTo(child.stdin);
  let stdout = "";
  let told = Promise.withResolvers<void>();
  const read = async () => {
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      stdout += part;
      told.resolve();
      told = Promise.withResolvers();
    }
  };
  const ended = Promise.all([child.status, child.stderr.text(), read(), written])
    .then(([{ code }, stderr]) => ({ code, stdout, stderr }));
  return {
    ended,
    printed: async (line) => {
      while (!stdout.split("\n").includes(line)) {
        const end = await Promise.race([told.promise, ended]);
        if (end) throw new Error(`The service ended without printing "${line}": ${JSON.stringify(end)}`);
      }
    },
    [Symbol.asyncDispose]: async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await ended;
    },
  };
}

/** Where Deno finds its own cache. */
function inherited(): Record<string, string> {
  const names = ["PATH", "HOME", "DENO_DIR", "NPM_CONFIG_REGISTRY"];
  return Object.fromEntries(names.flatMap((name) => Deno.env.has(name) ? [[name, Deno.env.get(name)!]] : []));
}
