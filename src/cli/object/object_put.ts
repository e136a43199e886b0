import type { Command } from "commander";
import type { ObjectInfo } from "../../../mod.ts";
import type { CommandLine } from "../command_line.ts";
import { openInput } from "../input.ts";
import { nameAndValue } from "../option_values.ts";
import { bytes } from "../terminal/text.ts";
import { Transfer } from "../transfer.ts";
import { openForWriting } from "../open_for_writing.ts";
import { bucketOption, OWN_BUCKETS } from "../bucket_option.ts";

interface PutOptions {
  bucket: string;
  description?: string;
  header?: Record<string, string>;
}

/** `object put`: stores an object. */
export function objectPut(object: Command, line: CommandLine): void {
  object.command("put")
    .description("store an object of any size; readers get the old one until the new one is whole")
    .argument("<name>", "any text, URLs too")
    .argument("[file]", "the file to store; without it or with -, standard input")
    .addOption(bucketOption("object"))
    .option("--description <text>", "what it is")
    .option("-H, --header <name=value>", "a header for its readers; may be repeated", nameAndValue)
    .addHelpText(
      "after",
      `
Examples:
  cli object put --bucket reports 2026/weekly.pdf weekly.pdf
  cli object put https://example.com/ < result.json
  tar c logs | cli object put --bucket backups logs.tar -H Content-Type=application/x-tar`,
    )
    .action(async (name: string, file: string | undefined, { bucket, description, header: headers }: PutOptions) => {
      const { stream, size } = await openInput(file, line.signal);
      await line.withNats(async (nats) => {
        const open = (ttl?: number) => nats.stores.objectBucket(bucket, ttl === undefined ? {} : { ttl });
        const objects = await openForWriting(nats, line, open, OWN_BUCKETS.object);
        using transfer = new Transfer(line.screen, "stored", size);
        const options = { description, headers, signal: line.signal };
        const info: ObjectInfo = await nats.confirmed(objects.putStream(name, stream.pipeThrough(transfer), options));
        line.print(info, () => [`${bytes(info.size)} in bucket ${bucket}, ${info.digest}`]);
      });
    });
}
