import { type Command, InvalidArgumentError } from "commander";
import type { KvBucket, KvEntry } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine, Nats } from "../command_line.ts";
import { duration } from "../option_values.ts";
import { openForWriting } from "../open_for_writing.ts";
import { printStored } from "../print_stored.ts";
import { spawnProgram } from "../spawn_program.ts";
import { valueJson } from "../stored_value.ts";
import { bucketOption, OWN_BUCKETS } from "../bucket_option.ts";

interface ModifyOptions {
  bucket: string;
  add?: number;
  ttl?: number;
}

/** What was stored. */
interface Stored {
  value: Uint8Array;
  revision: number;
}

/** `kv modify`: makes the new value of a key from the present one, again if another write comes between. */
export function kvModify(kv: Command, line: CommandLine): void {
  kv.command("modify")
    .description("change a value by what it is now, and print the new one; no other change is lost")
    .argument("<key>", "any text, URLs too")
    .argument("[program...]", "what makes the new value, and its arguments, behind --")
    .addOption(bucketOption("kv"))
    .option("--add <number>", "add this to the value, which must be a number; without one it is 0", number)
    .option("--ttl <duration>", "how long the new value lives, e.g. 30s or 2h; rounded up to seconds", duration)
    .addHelpText(
      "after",
      `
The program gets the value on its standard input (nothing, if the key has
none), and prints the new one. If another write comes between, it is run
again with that value. If it fails, nothing is stored, and its exit code is
passed on.

Examples:
  cli kv modify visits --add 1
  cli kv modify stock --add=-3
  cli kv modify config -- jq '.checks += 1'
  cli kv modify hosts -- sort -u`,
    )
    .action(async (key: string, program: string[], options: ModifyOptions) => {
      const { bucket: name, add } = options;
      if ((add === undefined) === (program.length === 0)) {
        throw new CommandFailure("give --add or a program behind --, not both", EXIT.usage);
      }
      await line.withNats(async (nats) => {
        const open = (ttl?: number) => nats.stores.kvBucket(name, ttl === undefined ? {} : { ttl });
        const bucket = await openForWriting(nats, line, open, OWN_BUCKETS.kv);
        const { value, revision } = add === undefined
          ? await changeThrough(nats, bucket, key, options, (value) => output(program, value, line.signal))
          : await addTo(nats, bucket, key, options, add);
        if (line.json) line.screen.print(JSON.stringify({ key, revision, ...valueJson(value) }));
        else await printStored(line.screen, [value], `the value under ${JSON.stringify(key)}`);
      });
    });
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("It must be a number.");
}

async function addTo(
  nats: Nats,
  bucket: KvBucket,
  key: string,
  { ttl }: ModifyOptions,
  add: number,
): Promise<Stored> {
  const change = (entry: KvEntry | null) => {
    const text = entry?.text() ?? "0";
    const sum = text.trim() === "" ? NaN : Number(text) + add;
    if (Number.isFinite(sum)) return String(sum);
    throw new CommandFailure(`the value under ${JSON.stringify(key)} is no number`);
  };
  return await nats.confirmed(bucket.modify(key, change, ttl === undefined ? {} : { ttl }));
}

async function changeThrough(
  nats: Nats,
  bucket: KvBucket,
  key: string,
  { ttl }: ModifyOptions,
  change: (value: Uint8Array) => Promise<Uint8Array>,
): Promise<Stored> {
  const options = ttl === undefined ? {} : { ttl };
  for (;;) {
    const entry = await nats.ask(bucket.get(key));
    const value = await change(entry?.value ?? new Uint8Array());
    const stored = entry ? bucket.update(key, value, entry.revision, options) : bucket.create(key, value, options);
    const revision = await nats.confirmed(stored);
    if (revision !== false) return { value, revision };
  }
}

/** What a program makes of its input. */
async function output([program, ...args]: string[], input: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const child = spawnProgram(program, { args, stdin: "piped", stdout: "piped", signal });
  const writing = new Blob([input as BufferSource]).stream().pipeTo(child.stdin).catch((error) => {
    // It need not read its input.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  });
  const [{ code }, value] = await Promise.all([child.status, new Response(child.stdout).bytes(), writing]);
  signal.throwIfAborted();
  if (code !== 0) throw new CommandFailure(`${program} failed, and nothing is stored`, code);
  return value;
}
