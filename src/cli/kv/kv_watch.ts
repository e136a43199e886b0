import type { Command } from "commander";
import type { KvEntry } from "../../../mod.ts";
import type { CommandLine } from "../command_line.ts";
import { valueExcerpt, valueJson } from "../stored_value.ts";
import type { Screen } from "../terminal/screen.ts";
import { localTime, oneLine } from "../terminal/text.ts";
import { bucketOption } from "../bucket_option.ts";

/** `kv watch`: follows keys. */
export function kvWatch(kv: Command, line: CommandLine): void {
  kv.command("watch")
    .description("follow the keys: first what is there, then each change, until Ctrl-C; continues after a reconnect")
    .argument("[filter]", "* stands for one token between dots, > at the end for all the rest", ">")
    .addOption(bucketOption("kv"))
    .option("-u, --updates-only", "begin with the next change")
    .addHelpText(
      "after",
      `
Examples:
  cli kv watch                                    everything
  cli kv watch 'demo.state.>' --updates-only
  cli kv watch --json | jq -r 'select(.operation == "delete").key'`,
    )
    .action(async (filter: string, { bucket, updatesOnly }: { bucket: string; updatesOnly?: boolean }) =>
      await line.withNats(async ({ stores }) => {
        for await (const entry of stores.kvBucket(bucket).watch(filter, { updatesOnly })) {
          line.print(recordOf(entry), () => [lineOf(entry, line.screen)]);
          if (line.signal.aborted) return;
        }
      }, { follows: true })
    );
}

function recordOf({ key, operation, revision, created, value }: KvEntry): unknown {
  return { key, operation, revision, created, ...operation === "put" ? valueJson(value) : {} };
}

function lineOf({ key, operation, created, value }: KvEntry, { colours }: Screen): string {
  const { dim, green, red } = colours;
  const what = operation === "put" ? valueExcerpt(value) : "";
  return `${dim(localTime(created))}  ${(operation === "put" ? green : red)(operation.padEnd(6))}  ${
    oneLine(key)
  }  ${what}`.trimEnd();
}
