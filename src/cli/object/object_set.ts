import type { Command } from "commander";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { nameAndValue } from "../option_values.ts";
import { bucketOption } from "../bucket_option.ts";

interface SetOptions {
  bucket: string;
  description?: string;
  header?: Record<string, string>;
  metadata?: Record<string, string>;
}

/** `object set`: changes what is stored along with an object. */
export function objectSet(object: Command, line: CommandLine): void {
  object.command("set")
    .description("change what is stored along with an object; its bytes stay")
    .argument("<name>", "the object's name")
    .addOption(bucketOption("object"))
    .option("--description <text>", "what it is; empty: nothing")
    .option("-H, --header <name=value>", "a header for its readers, in place of all; may be repeated", nameAndValue)
    .option("-M, --metadata <name=value>", "a label, in place of all; may be repeated", nameAndValue)
    .addHelpText(
      "after",
      `
Examples:
  cli object set --bucket reports weekly.pdf --description "Week 48"
  cli object set --bucket videos intro -H Content-Type=video/webm`,
    )
    .action(async (name: string, { bucket, description, header: headers, metadata }: SetOptions) => {
      if (description === undefined && !headers && !metadata) {
        throw new CommandFailure("give --description, --header or --metadata", EXIT.usage);
      }
      await line.withNats(async (nats) => {
        const changes = { description, headers, metadata };
        const info = await nats.confirmed(nats.stores.objectBucket(bucket).update(name, changes));
        if (info === false) throw new CommandFailure(`there is no object "${name}" in bucket ${bucket}`);
        line.print(info, () => [`changed ${name}`]);
      });
    });
}
