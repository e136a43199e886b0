/** A script of this folder in a process of its own, killed at disposal. */
export interface ScriptProcess extends AsyncDisposable {
  /** Resolves with the first line that it prints. */
  firstLine(): Promise<string>;
  /** Waits for its end; returns what it printed. */
  output(): Promise<string>;
  kill(): Promise<void>;
}

/** Starts a script of this folder. */
export function startProcess(script: string, ...args: string[]): ScriptProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL(script, import.meta.url).pathname, ...args],
    stdout: "piped",
    stderr: "inherit",
    env: { SUPERCHECK_NATS_URL: "" },
  }).spawn();
  let printed = "";
  const { promise: firstLine, resolve, reject } = Promise.withResolvers<string>();
  firstLine.catch(() => {});
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      printed += text;
      if (printed.includes("\n")) resolve(printed.slice(0, printed.indexOf("\n")));
    }
    reject(new Error(`${script} printed nothing`));
  })();
  const ended = async () => {
    await reading;
    return await child.status;
  };
  const kill = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await ended();
  };
  return {
    firstLine: () => firstLine,
    output: async () => {
      const { success } = await ended();
      if (!success) throw new Error(`${script} failed`);
      return printed;
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
