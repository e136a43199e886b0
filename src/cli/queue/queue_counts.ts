import type { Command } from "commander";
import type { JobCounts } from "../../../mod.ts";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { look, type LookOptions } from "../look.ts";
import { durationOption } from "../option_values.ts";
import { type Colours, colours } from "../terminal/colours.ts";
import { type Column, table } from "../terminal/table.ts";
import { localTime, span } from "../terminal/text.ts";

/** A queue with its counts; `null`: there is no such queue, or no answer. */
interface Counted {
  queue: string;
  counts: JobCounts | null;
}

/** `queue counts`: how many jobs there are. */
export function queueCounts(queue: Command, line: CommandLine): void {
  queue.command("counts")
    .description("show how many jobs wait, run, are delayed or dead, and how long the oldest has waited")
    .argument("<queue...>")
    .option("-w, --watch", "go on until Ctrl-C")
    .addOption(durationOption("-i, --interval", "between two looks", "1s"))
    .addHelpText(
      "after",
      `
Examples:
  cli queue counts checks mails
  cli queue counts checks --watch
  cli queue counts checks --json | jq .dead`,
    )
    .action(async (names: string[], options: LookOptions) =>
      await line.withNats(async (nats) => {
        const count = async (queue: string): Promise<Counted> => {
          const counting = nats.stores.jobQueue(queue).counts();
          // A watch goes on without NATS, too.
          return { queue, counts: await (options.watch ? counting : nats.ask(counting)) };
        };
        const counted = await look(line, options, () => Promise.all(names.map(count)), {
          records: (counted) => counted.map(({ queue, counts }) => ({ queue, ...counts })),
          lines: tableOf,
          brief: (counted) => [localTime(new Date()), ...tableOf(counted, colours(false), Infinity)],
        });
        const missing = counted.filter(({ counts }) => counts === null).map(({ queue }) => queue);
        if (!options.watch && missing.length > 0) throw new CommandFailure(`there is no queue ${missing.join(", ")}`);
      }, { follows: options.watch })
    );
}

function tableOf(counted: Counted[], { dim, red }: Colours, maxWidth: number): string[] {
  const amount = (title: string, pick: (counts: JobCounts) => number): Column<Counted> => ({
    title,
    cell: ({ counts }) => counts ? String(pick(counts)) : "–",
    align: "right",
  });
  return table(
    [
      { title: "QUEUE", cell: ({ queue }) => queue },
      amount("HIGH", ({ ready }) => ready.high),
      amount("NORMAL", ({ ready }) => ready.normal),
      amount("LOW", ({ ready }) => ready.low),
      amount("KEYED", ({ ready }) => ready.keyed),
      {
        title: "OLDEST",
        cell: ({ counts }) => counts?.oldest === null || !counts ? "–" : span(counts.oldest),
        align: "right",
      },
      amount("ACTIVE", ({ active }) => active),
      amount("DELAYED", ({ delayed }) => delayed),
      { ...amount("DEAD", ({ dead }) => dead), paint: (text, { counts }) => counts?.dead ? red(text) : text },
    ],
    counted,
    { maxWidth, paintTitle: dim },
  );
}
