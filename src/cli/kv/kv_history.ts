import type { Command } from "commander";
import { bucketOption } from "../bucket_option.ts";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { printList } from "../print_list.ts";
import { valueExcerpt, valueJson } from "../stored_value.ts";
import { bytes, localTime } from "../terminal/text.ts";

/** `kv history`: lists the revisions of a key. */
export function kvHistory(kv: Command, line: CommandLine): void {
  kv.command("history")
    .description("list the revisions of a key that the bucket keeps, the oldest first")
    .argument("<key>", "any text, URLs too")
    .addOption(bucketOption("kv"))
    .addHelpText(
      "after",
      `
Examples:
  cli kv history --bucket plans eu.basic
  cli kv history --bucket plans eu.basic --json | jq -r .value`,
    )
    .action(async (key: string, { bucket }: { bucket: string }) =>
      await line.withNats(async (nats) => {
        const listed = await printList(line, nats.stores.kvBucket(bucket).history(key), {
          record: ({ revision, created, operation, value }) => ({
            key,
            revision,
            created,
            operation,
            ...valueJson(value),
          }),
          columns: [
            { title: "REVISION", cell: ({ revision }) => String(revision), align: "right" },
            { title: "OPERATION", cell: ({ operation }) => operation },
            { title: "CREATED", cell: ({ created }) => localTime(created) },
            { title: "SIZE", cell: ({ value }) => bytes(value.length), align: "right" },
            { title: "VALUE", cell: ({ value }) => valueExcerpt(value), shrinkTo: 12 },
          ],
        });
        if (listed === 0) throw new CommandFailure(`nothing is kept of ${JSON.stringify(key)} in bucket ${bucket}`);
      })
    );
}
