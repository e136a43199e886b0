const MODULE = "github.com/nats-io/nats.go@v1.53.1";

/** Why tests against the official Go client are skipped here, to be put behind their names; empty where they run. */
export const withoutGo: string = Deno.env.get("INTEROP_GO") === "1"
  ? ""
  : " (not tested here: with INTEROP_GO=1 only, as it builds a Go program)";

/** The official Go client: the program of `nats_go/main.go`, called by one line after the other. */
export class NatsGo implements AsyncDisposable {
  /** For files. */
  readonly directory: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncIterator<string>;

  private constructor(program: string, directory: string, url: string) {
    this.directory = directory;
    this.#child = new Deno.Command(program, { args: [url], stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
  }

  static async start(url: string): Promise<NatsGo> {
    program ??= build();
    return new NatsGo(await program, await Deno.makeTempDir({ prefix: "nats-go-" }), url);
  }

  /** Does one thing; throws what the client says. */
  async call(command: string, ...args: string[]): Promise<unknown> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify([command, ...args])}\n`));
    const { value: line } = await this.#answers.next();
    if (line === undefined) throw new Error(`The Go program ended at ${command}`);
    const { value, error } = JSON.parse(line);
    if (error !== undefined) throw new Error(`${command}: ${error}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#answers.return?.();
    await this.#child.status;
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** The program, built once for each test file. */
let program: Promise<string> | undefined;

async function build(): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "nats-go-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
  await Deno.copyFile(new URL("nats_go/main.go", import.meta.url), `${directory}/main.go`);
  await Deno.writeTextFile(`${directory}/go.mod`, "module program\n\ngo 1.24\n");
  await go(directory, "get", MODULE);
  await go(directory, "build", "-o", "program", ".");
  return `${directory}/program`;
}

async function go(cwd: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("go", { args, cwd, env: { GOFLAGS: "-mod=mod" } }).output();
  if (!success) throw new Error(`go ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
}

async function* lines(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let text = "";
  for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}
