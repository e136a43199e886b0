/**
 * The official Go client over one bucket: prints, as JSON, the keys it lists and what it reads of the keys given (`null`: not found), then puts
 * "theirs" to each of them, deletes the first and creates it again.
 */
const PROGRAM = `package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	nc := must(nats.Connect(os.Args[1]))
	defer nc.Close()
	js := must(jetstream.New(nc))
	ctx := context.Background()
	kv := must(js.KeyValue(ctx, os.Args[2]))
	read := map[string]*string{}
	for _, key := range os.Args[3:] {
		entry, err := kv.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			read[key] = nil
			continue
		}
		value := string(must(entry, err).Value())
		read[key] = &value
	}
	listed := []string{}
	for key := range must(kv.ListKeys(ctx)).Keys() {
		listed = append(listed, key)
	}
	history := []string{}
	for _, entry := range must(kv.History(ctx, os.Args[3])) {
		history = append(history, entry.Operation().String())
	}
	for _, key := range os.Args[3:] {
		must(kv.Put(ctx, key, []byte("theirs")))
	}
	if err := kv.Delete(ctx, os.Args[3]); err != nil {
		panic(err)
	}
	revision := must(kv.Create(ctx, os.Args[3], []byte("created")))
	must(kv.Update(ctx, os.Args[3], []byte("updated"), revision))
	if err := kv.Purge(ctx, os.Args[4]); err != nil {
		panic(err)
	}
	fmt.Println(string(must(json.Marshal(map[string]any{"read": read, "listed": listed, "history": history}))))
}
`;

const MODULE = "github.com/nats-io/nats.go@v1.53.1";

/** What the program printed. */
export interface GoReport {
  read: Record<string, string | null>;
  listed: string[];
  history: string[];
}

/** Builds and runs it over a bucket and at least two keys. */
export async function runNatsGo(url: string, bucket: string, keys: string[]): Promise<GoReport> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/go.mod`, "module program\n\ngo 1.24\n");
    await Deno.writeTextFile(`${directory}/main.go`, PROGRAM);
    await run(directory, "go", "get", MODULE);
    await run(directory, "go", "build", "-o", "program", ".");
    return JSON.parse(await run(directory, `${directory}/program`, url, bucket, ...keys));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function run(cwd: string, program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd, env: { GOFLAGS: "-mod=mod" } })
    .output();
  if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
