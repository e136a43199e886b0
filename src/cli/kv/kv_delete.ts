import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { confirm } from "../confirm.ts";
import { count } from "../terminal/text.ts";
import { kvBucketOption } from "./kv_bucket_option.ts";

/** `kv del`: deletes keys. */
export function kvDelete(kv: Command, line: CommandLine): void {
  kv.command("del")
    .description("delete keys")
    .argument("<key...>", "the keys, as `kv ls` prints them")
    .addOption(kvBucketOption())
    .option("--purge", "with all the older revisions that are kept")
    .addHelpText(
      "after",
      `
Examples:
  cli kv del theme                         asks first
  cli kv del theme language --yes          for scripts
  cli kv ls 'demo.>' | xargs cli kv del --yes`,
    )
    .action(async (keys: string[], { bucket, purge }: { bucket: string; purge?: boolean }) =>
      await line.withNats(async (nats) => {
        const kv = nats.stores.kvBucket(bucket);
        const found = await nats.confirmed(kv.getMany(keys));
        const there = keys.filter((key) => found.has(key));
        const missing = keys.filter((key) => !found.has(key));
        if (there.length > 0) {
          const what = there.length === 1 ? `key ${JSON.stringify(there[0])}` : count(there.length, "key");
          await confirm(line, `delete ${what} from bucket ${bucket}`);
        }
        for (const key of there) {
          await nats.confirmed(purge ? kv.purge(key) : kv.delete(key));
          line.print({ key, deleted: true }, () => [`deleted ${key}`]);
        }
        if (missing.length > 0) {
          throw new CommandFailure(
            `there is no value under ${missing.map((key) => JSON.stringify(key)).join(", ")} in bucket ${bucket}`,
          );
        }
      })
    );
}
