/** A command that runs as a process of its own, its output read line by line. */
export class StartedCommand implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<unknown>;
  readonly #timer: ReturnType<typeof setTimeout>;
  #stdout = "";
  #stderr = "";
  #wake = Promise.withResolvers<void>();
  #ended = false;

  constructor(command: string, args: string[], env: Record<string, string>) {
    this.#process = new Deno.Command(command, {
      args,
      env: { SUPERCHECK_NATS_URL: "", NO_COLOR: "", TERM: "xterm", DENO_NO_UPDATE_CHECK: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#timer = setTimeout(() => this.#process.kill("SIGKILL"), 90_000);
    this.#stdin = this.#process.stdin.getWriter();
    this.#reading = Promise.all([
      this.#read(this.#process.stdout, (text) => this.#stdout += text),
      this.#read(this.#process.stderr, (text) => this.#stderr += text),
    ]).then(() => {
      this.#ended = true;
      this.#notify();
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Standard output as one JSON value for each line that is complete. */
  get json(): Record<string, unknown>[] {
    return this.#stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  /** Waits until it has written what `enough` looks for. */
  async until<T>(enough: (command: StartedCommand) => T | undefined | null | false): Promise<T> {
    for (;;) {
      const found = enough(this);
      if (found) return found;
      if (this.#ended) throw new Error(`It ended too early:\n${this.#stdout}\n${this.#stderr}`);
      await this.#wake.promise;
    }
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  async write(input: string | Uint8Array): Promise<void> {
    await this.#stdin.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
  }

  async closeInput(): Promise<void> {
    await this.#stdin.close();
  }

  /** Its exit code, once all its output is read. */
  async end(): Promise<number> {
    const { code } = await this.#process.status;
    await this.#reading;
    clearTimeout(this.#timer);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.end();
    await this.#stdin.close().catch(() => {});
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, add: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      add(text);
      this.#notify();
    }
  }

  #notify(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
