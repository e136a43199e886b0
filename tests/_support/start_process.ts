import { within } from "./wait_until.ts";

/** A script in a process of its own, killed at disposal. */
export interface ScriptProcess extends AsyncDisposable {
  /** Resolves with the next line that it prints and nobody has asked for. */
  nextLine(): Promise<string>;
  /** Waits for its end; returns all that it printed. */
  output(): Promise<string>;
  /** Sends it a signal: `SIGSTOP` suspends it, `SIGCONT` lets it go on. */
  signal(name: Deno.Signal): void;
  /** Ends it without a chance to clean up, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts a script with the given arguments. */
export function startProcess(script: URL, ...args: string[]): ScriptProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", script.pathname, ...args],
    stdout: "piped",
    stderr: "inherit",
    env: { SUPERCHECK_NATS_URL: "" },
  }).spawn();
  let printed = "";
  let asked = 0;
  let wake = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      printed += text;
      wake.resolve();
      wake = Promise.withResolvers();
    }
  })();
  const ended = reading.then(() => child.status);
  const kill = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await ended;
  };
  return {
    nextLine: async () => {
      const index = asked++;
      for (;;) {
        const lines = printed.split("\n");
        if (index < lines.length - 1) return lines[index];
        const end = await within(Promise.race([wake.promise, ended]));
        if (end) throw new Error(`${script} ended without line ${index + 1}`);
      }
    },
    output: async () => {
      const { success } = await ended;
      if (!success) throw new Error(`${script} failed`);
      return printed;
    },
    signal: (name) => child.kill(name),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
