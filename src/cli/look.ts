import type { CommandLine } from "./command_line.ts";
import { sleep } from "./sleep.ts";
import type { Colours } from "./terminal/colours.ts";

/** How what was seen is shown. */
export interface LookFormat<T> {
  /** One record for each line of JSON. */
  records(seen: T): unknown[];
  /** For people; on a terminal drawn anew with each look. */
  lines(seen: T, colours: Colours, maxWidth: number): string[];
  /** For people who watch without a terminal. */
  brief(seen: T): string[];
}

/** When to look again. */
export interface LookOptions {
  /** Whether to look again and again until the command is interrupted. */
  watch?: boolean;
  /** Milliseconds between two looks. */
  interval: number;
}

/**
 * Looks and shows what is seen, once or again and again.
 *
 * @returns What was seen last.
 */
export async function look<T>(
  line: CommandLine,
  { watch = false, interval }: LookOptions,
  see: () => Promise<T>,
  format: LookFormat<T>,
): Promise<T> {
  const { screen, json, signal } = line;
  const printRecords = (seen: T) => screen.print(...format.records(seen).map((record) => JSON.stringify(record)));
  let seen = await see();
  while (watch && !signal.aborted) {
    if (json) printRecords(seen);
    else if (screen.isLive) screen.live(format.lines(seen, screen.noteColours, screen.noteWidth));
    else screen.print(...format.brief(seen));
    await sleep(interval, signal);
    const next = await see();
    // What is seen while everything is being closed is nothing.
    if (!signal.aborted) seen = next;
  }
  screen.live([]);
  if (json && !watch) printRecords(seen);
  if (!json && (!watch || screen.isLive)) screen.print(...format.lines(seen, screen.colours, screen.width));
  return seen;
}
