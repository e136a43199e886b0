import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { bucketsOption, printBuckets } from "../print_buckets.ts";
import { printList } from "../print_list.ts";
import { bytes, localTime, oneLine } from "../terminal/text.ts";
import { bucketOption } from "../bucket_option.ts";

/** `object ls`: lists objects. */
export function objectList(object: Command, line: CommandLine): void {
  object.command("ls")
    .description("list the objects of a bucket")
    .addOption(bucketOption("object"))
    .addOption(bucketsOption())
    .option("-q, --names", "names only, one on each line")
    .addHelpText(
      "after",
      `
Examples:
  cli object ls
  cli object ls --bucket reports --names
  cli object ls --json | jq 'select(.size > 1000000).name'
  cli object ls --buckets`,
    )
    .action(async ({ bucket, names, buckets }: { bucket: string; names?: boolean; buckets?: boolean }) =>
      await line.withNats(async (nats) => {
        if (buckets) return await printBuckets(line, nats.stores.objectBuckets());
        const objects = nats.stores.objectBucket(bucket);
        const { screen, json } = line;
        const listed = await printList(line, objects.list(), {
          record: (info) => info,
          plain: names && !json ? ({ name }) => screen.isTerminal ? oneLine(name) : name : undefined,
          columns: [
            { title: "NAME", cell: ({ name }) => oneLine(name), shrinkTo: 24 },
            { title: "SIZE", cell: ({ size }) => bytes(size), align: "right" },
            { title: "STORED", cell: ({ mtime }) => localTime(mtime) },
            { title: "DESCRIPTION", cell: ({ description = "" }) => oneLine(description), shrinkTo: 12 },
          ],
        });
        if (listed > 0) return;
        if (await nats.ask(objects.status()) === null) throw new CommandFailure(`there is no object bucket ${bucket}`);
        line.hint("No objects.");
      })
    );
}
