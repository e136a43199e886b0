import type { Command } from "commander";
import type { CommandLine } from "../command_line.ts";
import { kvDelete } from "./kv_delete.ts";
import { kvGet } from "./kv_get.ts";
import { kvHistory } from "./kv_history.ts";
import { kvList } from "./kv_list.ts";
import { kvLock } from "./kv_lock.ts";
import { kvModify } from "./kv_modify.ts";
import { kvPut } from "./kv_put.ts";
import { kvWatch } from "./kv_watch.ts";

const EXAMPLES = `
Examples:
  cli kv ls --long
  cli kv put --bucket flags dark-mode on
  cli kv get https://example.com/
\`cli kv help put\` explains one of them.`;

/** Adds the commands of key-value buckets. */
export function kvCommands(program: Command, line: CommandLine): void {
  const kv = program.command("kv").description("read, write and follow the keys of a key-value bucket")
    .addHelpText("after", EXAMPLES);
  for (const add of [kvGet, kvPut, kvModify, kvDelete, kvList, kvHistory, kvWatch, kvLock]) add(kv, line);
}
