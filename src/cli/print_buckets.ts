import { Option } from "commander";
import type { CommandLine } from "./command_line.ts";
import { printList } from "./print_list.ts";

/** The option that lists buckets instead of what is in one. */
export function bucketsOption(): Option {
  return new Option("--buckets", "list the names of the buckets instead").conflicts(["bucket", "long", "names"]);
}

/** Prints the names of buckets, one on each line. */
export async function printBuckets(line: CommandLine, names: AsyncIterable<string>): Promise<void> {
  const listed = await printList(line, names, {
    record: (bucket) => ({ bucket }),
    plain: (bucket) => bucket,
    columns: [],
  });
  if (listed === 0) line.hint("No buckets.");
}
