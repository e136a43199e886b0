import type { CommandLine } from "./command_line.ts";
import { Progress } from "./terminal/progress.ts";
import { type Column, table } from "./terminal/table.ts";

/** How a list is printed. */
export interface ListFormat<T> {
  /** What a line of JSON contains of an item. */
  record(item: T): unknown;
  /** One line for an item where no table is wanted. */
  plain?: (item: T) => string;
  /** The columns of the table. */
  columns: Column<T>[];
}

/**
 * Prints a list: lines as the items come, or a table of all of them.
 *
 * @returns How many items there were.
 */
export async function printList<T>(line: CommandLine, items: AsyncIterable<T>, format: ListFormat<T>): Promise<number> {
  const { screen, json, signal } = line;
  const lineOf = json ? (item: T) => JSON.stringify(format.record(item)) : format.plain;
  const rows: T[] = [];
  let listed = 0;
  {
    using _progress = new Progress(screen, () => `${listed} so far …`);
    for await (const item of items) {
      if (signal.aborted) break;
      listed++;
      if (lineOf) screen.print(lineOf(item));
      else rows.push(item);
    }
  }
  if (rows.length > 0) {
    screen.print(...table(format.columns, rows, { maxWidth: screen.width, paintTitle: screen.colours.dim }));
  }
  return listed;
}
