/** The official Go client behind a small program: `put <name> <file>`, `get <name> <file>`, `delete <name>`, `link <name> <target>`, one a line. */
const PROGRAM = `package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func run(ctx context.Context, store jetstream.ObjectStore, words []string) error {
	switch words[0] {
	case "put":
		data, err := os.ReadFile(words[2])
		if err != nil {
			return err
		}
		_, err = store.PutBytes(ctx, words[1], data)
		return err
	case "get":
		data, err := store.GetBytes(ctx, words[1])
		if err != nil {
			return err
		}
		return os.WriteFile(words[2], data, 0o600)
	case "delete":
		return store.Delete(ctx, words[1])
	case "link":
		info, err := store.GetInfo(ctx, words[2])
		if err != nil {
			return err
		}
		_, err = store.AddLink(ctx, words[1], info)
		return err
	}
	return fmt.Errorf("unknown: %v", words)
}

func main() {
	nc, err := nats.Connect(os.Args[1])
	if err != nil {
		panic(err)
	}
	js, _ := jetstream.New(nc)
	ctx := context.Background()
	store, err := js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: os.Args[2]})
	if err != nil {
		panic(err)
	}
	fmt.Println("ok")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var words []string
		if err := json.Unmarshal(lines.Bytes(), &words); err != nil {
			panic(err)
		}
		if err := run(ctx, store, words); err != nil {
			fmt.Println("error: " + err.Error())
		} else {
			fmt.Println("ok")
		}
	}
}
`;

const MODULE = "github.com/nats-io/nats.go@v1.53.1";

async function go(cwd: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("go", { args, cwd, env: { GOFLAGS: "-mod=mod" } }).output();
  if (!success) throw new Error(`go ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
}

/** The program, running over one bucket. */
export class NatsGo implements AsyncDisposable {
  /** For files. */
  readonly directory: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncIterator<string>;

  private constructor(directory: string, url: string, bucket: string) {
    this.directory = directory;
    this.#child = new Deno.Command(`${directory}/program`, {
      args: [url, bucket],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
  }

  static async start(url: string, bucket: string): Promise<NatsGo> {
    const directory = await Deno.makeTempDir();
    await Deno.writeTextFile(`${directory}/go.mod`, "module program\n\ngo 1.24\n");
    await Deno.writeTextFile(`${directory}/main.go`, PROGRAM);
    await go(directory, "get", MODULE);
    await go(directory, "build", "-o", "program", ".");
    const program = new NatsGo(directory, url, bucket);
    await program.#ok("start");
    return program;
  }

  /** Does one thing; throws what the client says. */
  async run(...words: string[]): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(words)}\n`));
    await this.#ok(words[0]);
  }

  async #ok(doing: string): Promise<void> {
    const { value } = await this.#answers.next();
    if (value !== "ok") throw new Error(`${doing}: ${value}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#answers.return?.();
    await this.#child.status;
    await Deno.remove(this.directory, { recursive: true });
  }
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
