import type { Command } from "commander";
import { actOnEach } from "../act_on_each.ts";
import type { CommandLine } from "../command_line.ts";
import { confirm, type ConfirmOptions, dryRunOption } from "../confirm.ts";
import { named } from "../terminal/text.ts";
import { bucketOption } from "../bucket_option.ts";

/** `kv del`: deletes keys. */
export function kvDelete(kv: Command, line: CommandLine): void {
  kv.command("del")
    .description("delete keys")
    .argument("<key...>", "the keys, as `kv ls` prints them")
    .addOption(bucketOption("kv"))
    .addOption(dryRunOption())
    .option("--purge", "with all the older revisions that are kept")
    .addHelpText(
      "after",
      `
Examples:
  cli kv del theme                         asks first
  cli kv del theme language --yes          for scripts
  cli kv ls 'demo.>' | xargs cli kv del --yes`,
    )
    .action(async (keys: string[], options: ConfirmOptions & { bucket: string; purge?: boolean }) =>
      await line.withNats(async (nats) => {
        const { bucket, purge } = options;
        const kv = nats.stores.kvBucket(bucket);
        const found = await nats.confirmed(kv.getMany(keys));
        const there = keys.filter((key) => found.has(key));
        if (there.length > 0 && !await confirm(line, `delete ${named("key", there)} from bucket ${bucket}`, options)) {
          return;
        }
        await actOnEach(line, keys, {
          field: "key",
          act: async (key) => found.has(key) && await nats.confirmed(purge ? kv.purge(key) : kv.delete(key)),
          done: "deleted",
          none: (keys) => `there is no value under ${keys} in bucket ${bucket}`,
        });
      })
    );
}
