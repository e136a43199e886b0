import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { printStored } from "../print_stored.ts";
import { valueJson } from "../stored_value.ts";
import { bucketOption } from "../bucket_option.ts";

/** `kv get`: prints the value of a key. */
export function kvGet(kv: Command, line: CommandLine): void {
  kv.command("get")
    .description("print the value of a key as it is; on a terminal only text, with control characters escaped")
    .argument("<key>", "any text, URLs too")
    .addOption(bucketOption("kv"))
    .addHelpText(
      "after",
      `
Examples:
  cli kv get https://example.com/             the value that storeKV has kept for a URL
  cli kv get --bucket flags dark-mode --json  with its revision and date
  cli kv get theme || echo light              exit code 1: there is no such key`,
    )
    .action(async (key: string, { bucket }: { bucket: string }) =>
      await line.withNats(async (nats) => {
        const entry = await nats.ask(nats.stores.kvBucket(bucket).get(key));
        if (!entry) throw new CommandFailure(`there is no value under ${JSON.stringify(key)} in bucket ${bucket}`);
        const { revision, created, value } = entry;
        if (line.json) line.screen.print(JSON.stringify({ key, revision, created, ...valueJson(value) }));
        else await printStored(line.screen, [value], `the value under ${JSON.stringify(key)}`);
      })
    );
}
