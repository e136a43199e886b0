import type { Command } from "commander";
import type { KvBucket, KvEntry } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine, Nats } from "../command_line.ts";
import { bucketsOption, printBuckets } from "../print_buckets.ts";
import { printList } from "../print_list.ts";
import { valueExcerpt, valueJson } from "../stored_value.ts";
import { bytes, localTime, oneLine } from "../terminal/text.ts";
import { bucketOption } from "../bucket_option.ts";

const EVERYTHING = ">";

interface ListOptions {
  bucket: string;
  long?: boolean;
  buckets?: boolean;
}

/** `kv ls`: lists keys. */
export function kvList(kv: Command, line: CommandLine): void {
  kv.command("ls")
    .description("list the keys that have a value")
    .argument("[filter]", "* stands for one token between dots, > at the end for all the rest", EVERYTHING)
    .addOption(bucketOption("kv"))
    .addOption(bucketsOption())
    .option("-l, --long", "a table with revisions, dates and values (--json always has them)")
    .addHelpText(
      "after",
      `
Examples:
  cli kv ls                          one key on each line
  cli kv ls 'demo.count.>' --long    a table
  cli kv ls --json | jq -r .value
  cli kv ls --buckets                the buckets that there are`,
    )
    .action(async (filter: string, { bucket, long, buckets }: ListOptions) => {
      if (buckets && filter !== EVERYTHING) {
        throw new CommandFailure("--buckets lists all buckets: it takes no filter", EXIT.usage);
      }
      await line.withNats(async (nats) => {
        if (buckets) return await printBuckets(line, nats.stores.kvBuckets());
        const kv = nats.stores.kvBucket(bucket);
        const listed = long || line.json
          ? await printEntries(line, kv.entries(filter))
          : await printKeys(line, kv.keys(filter));
        if (listed === 0) await explainNothing(nats, kv, line);
      });
    });
}

/** Reads the keys only, without their values. */
async function printKeys(line: CommandLine, keys: AsyncIterable<string>): Promise<number> {
  const plain = (key: string) => line.screen.isTerminal ? oneLine(key) : key;
  return await printList(line, keys, { record: (key) => ({ key }), plain, columns: [] });
}

async function printEntries(line: CommandLine, entries: AsyncIterable<KvEntry>): Promise<number> {
  return await printList(line, entries, {
    record: ({ key, revision, created, value }) => ({ key, revision, created, ...valueJson(value) }),
    columns: [
      { title: "KEY", cell: ({ key }) => oneLine(key), shrinkTo: 24 },
      { title: "REVISION", cell: ({ revision }) => String(revision), align: "right" },
      { title: "CREATED", cell: ({ created }) => localTime(created) },
      { title: "SIZE", cell: ({ value }) => bytes(value.length), align: "right" },
      { title: "VALUE", cell: ({ value }) => valueExcerpt(value), shrinkTo: 12 },
    ],
  });
}

/** An empty list is fine, a bucket that is not there may be a slip of the pen. */
async function explainNothing(nats: Nats, kv: KvBucket, line: CommandLine): Promise<void> {
  if (await nats.ask(kv.status()) === null) throw new CommandFailure(`there is no key-value bucket ${kv.name}`);
  line.hint("No keys.");
}
