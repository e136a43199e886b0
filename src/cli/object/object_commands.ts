import type { Command } from "commander";
import type { CommandLine } from "../command_line.ts";
import { objectGet } from "./object_get.ts";
import { objectLink } from "./object_link.ts";
import { objectList } from "./object_list.ts";
import { objectPut } from "./object_put.ts";
import { objectRemove } from "./object_remove.ts";
import { objectSet } from "./object_set.ts";

const EXAMPLES = `
Examples:
  cli object ls
  cli object put --bucket reports weekly.pdf ./weekly.pdf
  cli object get https://example.com/ | jq .status
\`cli object help put\` explains one of them.`;

/** Adds the commands of object buckets. */
export function objectCommands(program: Command, line: CommandLine): void {
  const object = program.command("object").description("store, read and list the objects of an object bucket")
    .addHelpText("after", EXAMPLES);
  for (const add of [objectPut, objectGet, objectList, objectRemove, objectSet, objectLink]) add(object, line);
}
