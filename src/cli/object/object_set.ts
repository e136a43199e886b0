import type { Command } from "commander";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { nameAndValue } from "../option_values.ts";
import { bucketOption } from "../bucket_option.ts";

interface SetOptions {
  bucket: string;
  rename?: string;
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
    .option("--rename <name>", "its new name, which no other object may have")
    .option("--description <text>", "what it is; empty: nothing")
    .option("-H, --header <name=value>", "a header for its readers, in place of all; may be repeated", nameAndValue)
    .option("-M, --metadata <name=value>", "a label, in place of all; may be repeated", nameAndValue)
    .addHelpText(
      "after",
      `
Examples:
  cli object set --bucket reports weekly.pdf --description "Week 48"
  cli object set --bucket videos intro -H Content-Type=video/webm
  cli object set --bucket videos intro --rename intro-2025`,
    )
    .action(async (name: string, options: SetOptions) => {
      const { bucket, rename, description, header: headers, metadata } = options;
      if (rename === undefined && description === undefined && !headers && !metadata) {
        throw new CommandFailure("give --rename, --description, --header or --metadata", EXIT.usage);
      }
      await line.withNats(async (nats) => {
        const objects = nats.stores.objectBucket(bucket);
        const info = await nats.confirmed(objects.update(name, { name: rename, description, headers, metadata }));
        if (info === false) {
          const isTaken = rename !== undefined && await nats.ask(objects.info(name)) !== null;
          throw new CommandFailure(
            `there is ${isTaken ? `an object "${rename}"` : `no object "${name}"`} in bucket ${bucket}`,
          );
        }
        line.print(info, () => [`changed ${name}`]);
      });
    });
}
