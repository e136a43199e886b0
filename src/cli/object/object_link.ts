import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { openForWriting } from "../open_for_writing.ts";
import { bucketOption, OWN_BUCKETS } from "../bucket_option.ts";

/** `object link`: makes another name for an object, or a link to a bucket. */
export function objectLink(object: Command, line: CommandLine): void {
  object.command("link")
    .description("make a name lead to another object, or to a whole bucket; an object of that name is kept")
    .argument("<name>", "the link's name")
    .argument("[target]", "the object that it leads to; without it, the whole bucket of --to")
    .addOption(bucketOption("object"))
    .option("--to <bucket>", "the bucket that it leads to (default: the link's own)")
    .addHelpText(
      "after",
      `
Examples:
  cli object link --bucket reports latest.pdf 2026/weekly.pdf
  cli object link --bucket reports archive --to old-reports`,
    )
    .action(async (
      name: string,
      target: string | undefined,
      { bucket, to = bucket }: { bucket: string; to?: string },
    ) =>
      await line.withNats(async (nats) => {
        const open = (ttl?: number) => nats.stores.objectBucket(bucket, ttl === undefined ? {} : { ttl });
        const objects = await openForWriting(nats, line, open, OWN_BUCKETS.object);
        const info = await nats.confirmed(objects.link(name, { bucket: to, name: target }));
        if (info === false) throw new CommandFailure(`there is an object "${name}" in bucket ${bucket}`);
        const leads = target === undefined ? `bucket ${to}` : `"${target}" in bucket ${to}`;
        line.print(info, () => [`"${name}" leads to ${leads}`]);
      })
    );
}
