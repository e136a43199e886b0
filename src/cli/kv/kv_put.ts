import { type Command, Option } from "commander";
import type { KvBucket } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { readInput } from "../input.ts";
import { duration, wholeNumber } from "../option_values.ts";
import { openForWriting } from "../open_for_writing.ts";
import { bucketOption, OWN_BUCKETS } from "../bucket_option.ts";

interface PutOptions {
  bucket: string;
  file?: string;
  ttl?: number;
  create?: boolean;
  revision?: number;
}

/** `kv put`: stores a value under a key. */
export function kvPut(kv: Command, line: CommandLine): void {
  kv.command("put")
    .description("store a value under a key")
    .argument("<key>", "any text, URLs too")
    .argument("[value]", "the value; without it, standard input")
    .addOption(bucketOption("kv"))
    .option("-f, --file <path>", "read the value from a file")
    .option("--ttl <duration>", "how long it lives, e.g. 30s or 2h; rounded up to seconds", duration)
    .addOption(new Option("--create", "only if the key has no value; else exit code 1").conflicts("revision"))
    .option("--revision <n>", "only if the key still has this revision; else exit code 1", wholeNumber)
    .addHelpText(
      "after",
      `
Examples:
  cli kv put theme dark                        prints the revision
  cli kv put https://example.com/ up --ttl 5m
  cli kv put config --file config.json
  date | cli kv put last-deploy
  cli kv put leader me --create --ttl 1m       only one of many gets it`,
    )
    .action(async (key: string, value: string | undefined, options: PutOptions) => {
      if (value !== undefined && options.file !== undefined) {
        throw new CommandFailure("give a value or --file, not both", EXIT.usage);
      }
      const data = value ?? await readInput(options.file, line.signal);
      await line.withNats(async (nats) => {
        const open = (ttl?: number) => nats.stores.kvBucket(options.bucket, ttl === undefined ? {} : { ttl });
        const bucket = await openForWriting(nats, line, open, OWN_BUCKETS.kv);
        const revision = await nats.confirmed(put(bucket, key, data, options));
        if (revision === false) {
          throw new CommandFailure(
            options.create
              ? `the key has a value already`
              : `the key does not have revision ${options.revision} any more`,
          );
        }
        line.print({ key, revision }, () => [String(revision)]);
      });
    });
}

function put(bucket: KvBucket, key: string, value: string | Uint8Array, { create, revision, ttl }: PutOptions) {
  const options = ttl === undefined ? {} : { ttl };
  if (create) return bucket.create(key, value, options);
  return revision === undefined ? bucket.put(key, value, options) : bucket.update(key, value, revision, options);
}
