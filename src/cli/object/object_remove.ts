import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { confirm } from "../confirm.ts";
import { bytes, count } from "../terminal/text.ts";
import { objectBucketOption } from "./object_bucket_option.ts";

/** `object rm`: deletes objects. */
export function objectRemove(object: Command, line: CommandLine): void {
  object.command("rm")
    .description("delete objects")
    .argument("<name...>", "the names, as `object ls` prints them")
    .addOption(objectBucketOption())
    .addHelpText(
      "after",
      `
Examples:
  cli object rm https://example.com/           asks first
  cli object rm --bucket reports a.pdf b.pdf --yes`,
    )
    .action(async (names: string[], { bucket }: { bucket: string }) =>
      await line.withNats(async (nats) => {
        const objects = nats.stores.objectBucket(bucket);
        const infos = await Promise.all(names.map((name) => nats.ask(objects.info(name))));
        const there = names.filter((_, i) => infos[i]);
        const missing = names.filter((_, i) => !infos[i]);
        if (there.length > 0) {
          const size = infos.reduce((sum, info) => sum + (info?.size ?? 0), 0);
          const what = there.length === 1 ? `object ${JSON.stringify(there[0])}` : count(there.length, "object");
          await confirm(line, `delete ${what} (${bytes(size)}) from bucket ${bucket}`);
        }
        for (const name of there) {
          await nats.confirmed(objects.delete(name));
          line.print({ name, deleted: true }, () => [`deleted ${name}`]);
        }
        if (missing.length > 0) {
          throw new CommandFailure(
            `there is no object ${missing.map((name) => JSON.stringify(name)).join(", ")} in bucket ${bucket}`,
          );
        }
      })
    );
}
