import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { look, type LookOptions } from "../look.ts";
import { durationOption } from "../option_values.ts";
import { amount, countQueues, QUEUE_COLUMN, queuesFormat } from "./counted_queues.ts";

const FORMAT = queuesFormat([
  QUEUE_COLUMN.queue,
  amount("HIGH", ({ ready }) => ready.high),
  amount("NORMAL", ({ ready }) => ready.normal),
  amount("LOW", ({ ready }) => ready.low),
  amount("KEYED", ({ ready }) => ready.keyed),
  QUEUE_COLUMN.oldest,
  QUEUE_COLUMN.active,
  QUEUE_COLUMN.delayed,
  QUEUE_COLUMN.state,
]);

/** `queue counts`: how many jobs there are. */
export function queueCounts(queue: Command, line: CommandLine): void {
  queue.command("counts")
    .description("show how many jobs are waiting, active, delayed or dead, and how long the oldest has waited")
    .argument("<queue...>")
    .option("-w, --watch", "repeat until Ctrl-C")
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
        const counted = await look(line, options, () => countQueues(nats, names, options), FORMAT);
        const missing = counted.filter(({ counts }) => counts === null).map(({ queue }) => queue);
        if (!options.watch && missing.length > 0) throw new CommandFailure(`there is no queue ${missing.join(", ")}`);
      }, { follows: options.watch })
    );
}
