import type { Command } from "commander";
import { actOnEach } from "../act_on_each.ts";
import type { CommandLine } from "../command_line.ts";
import { confirm, type ConfirmOptions, dryRunOption } from "../confirm.ts";
import { bytes, named } from "../terminal/text.ts";
import { bucketOption } from "../bucket_option.ts";

/** `object rm`: deletes objects. */
export function objectRemove(object: Command, line: CommandLine): void {
  object.command("rm")
    .description("delete objects")
    .argument("<name...>", "the names, as `object ls` prints them")
    .addOption(bucketOption("object"))
    .addOption(dryRunOption())
    .addHelpText(
      "after",
      `
Examples:
  cli object rm https://example.com/           asks first
  cli object rm --bucket reports a.pdf b.pdf --yes`,
    )
    .action(async (names: string[], options: ConfirmOptions & { bucket: string }) =>
      await line.withNats(async (nats) => {
        const { bucket } = options;
        const objects = nats.stores.objectBucket(bucket);
        const infos = await Promise.all(names.map((name) => nats.ask(objects.info(name))));
        const there = names.filter((_, i) => infos[i]);
        if (there.length > 0) {
          const size = infos.reduce((sum, info) => sum + (info?.size ?? 0), 0);
          const what = `delete ${named("object", there)} (${bytes(size)}) from bucket ${bucket}`;
          if (!await confirm(line, what, options)) return;
        }
        await actOnEach(line, names, {
          field: "name",
          act: async (name) => there.includes(name) && await nats.confirmed(objects.delete(name)),
          done: "deleted",
          none: (names) => `there is no object ${names} in bucket ${bucket}`,
        });
      })
    );
}
