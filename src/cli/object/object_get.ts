import type { Command } from "commander";
import type { ObjectInfo } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { printStored } from "../print_stored.ts";
import { valueJson } from "../stored_value.ts";
import { bytes } from "../terminal/text.ts";
import { Transfer } from "../transfer.ts";
import { bucketOption } from "../bucket_option.ts";
import { messageOf } from "../../shown.ts";

interface GetOptions {
  bucket: string;
  output?: string;
}

/** `object get`: prints an object, or writes it to a file. */
export function objectGet(object: Command, line: CommandLine): void {
  object.command("get")
    .description("print an object as it is, on a terminal only text; or write it to a file; its digest is checked")
    .argument("<name>", "any text, URLs too")
    .addOption(bucketOption("object"))
    .option("-o, --output <file>", "write it to this file, which changes only once the object is whole")
    .addHelpText(
      "after",
      `
Examples:
  cli object get https://example.com/ | jq .status     what storeHealthcheck has kept
  cli object get --bucket reports 2026/weekly.pdf -o weekly.pdf
  cli object get https://example.com/ --json           with its size, date and digest`,
    )
    .action(async (name: string, { bucket, output }: GetOptions) =>
      await line.withNats(async (nats) => {
        const objects = nats.stores.objectBucket(bucket);
        const info = await nats.ask(objects.info(name));
        const stream = info && await nats.ask(objects.getStream(name));
        if (!stream) throw new CommandFailure(`there is no object ${JSON.stringify(name)} in bucket ${bucket}`);
        using transfer = new Transfer(line.screen, "read", info.link ? null : info.size);
        const counted = stream.pipeThrough(transfer, { signal: line.signal });
        if (output !== undefined) await writeFile(counted, output, info, line);
        else if (line.json) await printRecord(counted, info, line);
        else await printStored(line.screen, counted, `the object ${JSON.stringify(name)}`);
      })
    );
}

async function printRecord(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  info: ObjectInfo,
  { screen }: CommandLine,
): Promise<void> {
  const value = await new Response(stream).bytes();
  screen.print(JSON.stringify({ ...info, ...valueJson(value) }));
}

async function writeFile(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  path: string,
  info: ObjectInfo,
  line: CommandLine,
): Promise<void> {
  if (path === "") throw new CommandFailure("--output must be the path of a file", EXIT.usage);
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(part, { write: true, createNew: true });
  } catch (error) {
    await stream.cancel();
    throw new CommandFailure(`cannot write ${path}: ${messageOf(error)}`);
  }
  try {
    await stream.pipeTo(file.writable);
    await Deno.rename(part, path).catch((error) => {
      throw new CommandFailure(`cannot write ${path}: ${messageOf(error)}`);
    });
  } catch (error) {
    await Deno.remove(part);
    throw error;
  }
  const { size } = await Deno.stat(path);
  line.print(info, () => [`${bytes(size)} in ${path}`]);
}
