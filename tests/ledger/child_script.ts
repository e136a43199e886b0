/** A script in a process of its own. Disposal kills it; it also ends when its owner ends, if it heeds {@linkcode told}. */
export class ChildScript implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<Deno.CommandStatus>;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  #running = true;

  /** @param args Arguments, of which objects are passed as JSON. */
  constructor(script: URL, args: unknown) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", script.pathname, JSON.stringify(args)],
      stdin: "piped",
      stdout: "null",
      stderr: "inherit",
      env: { SUPERCHECK_NATS_URL: "" },
    }).spawn();
    this.#stdin = this.#child.stdin.getWriter();
    this.#ended = this.#child.status.then((status) => {
      this.#running = false;
      return status;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Sends a signal, unless it has ended. */
  signal(signal: Deno.Signal): void {
    if (this.#running) this.#child.kill(signal);
  }

  /** Tells it to end in its own time, and waits until it has; `false` if it failed. */
  async finish(): Promise<boolean> {
    // The pipe is broken if it has ended by itself.
    await this.#stdin.close().catch(() => {});
    return (await this.#ended).success;
  }

  /** Waits until it ends by itself; `false` if it failed. */
  async ended(): Promise<boolean> {
    return (await this.#ended).success;
  }

  /** Ends it without a chance to clean up, and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#stdin.close().catch(() => {});
  }
}

/** In such a script: resolves when its owner tells it to end, or has ended. */
export async function told(): Promise<void> {
  for await (const _chunk of Deno.stdin.readable);
}

/** In such a script: what its owner gave it. */
export function given<T>(): T {
  return JSON.parse(Deno.args[0]);
}
