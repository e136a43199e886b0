import type { Command } from "commander";
import { JetStreamStoreError } from "../../../mod.ts";
import type { CommandLine, Nats } from "../command_line.ts";
import { look, type LookOptions } from "../look.ts";
import { durationOption } from "../option_values.ts";
import { amount, countQueues, QUEUE_COLUMN, queuesFormat } from "./counted_queues.ts";

const TABLE = queuesFormat([
  QUEUE_COLUMN.queue,
  amount("READY", ({ ready }) => ready.high + ready.normal + ready.low + ready.keyed),
  QUEUE_COLUMN.oldest,
  QUEUE_COLUMN.active,
  QUEUE_COLUMN.delayed,
  QUEUE_COLUMN.state,
]);

const NONE = "No queues.";

/** `queue ls`: lists the queues. */
export function queueList(queue: Command, line: CommandLine): void {
  queue.command("ls")
    .description("list the queues, with how many jobs each has")
    .option("-w, --watch", "repeat until Ctrl-C, with queues that are made or removed meanwhile")
    .addOption(durationOption("-i, --interval", "between two looks", "1s"))
    .addHelpText(
      "after",
      `
Examples:
  cli queue ls
  cli queue ls --watch
  cli queue ls --json | jq -r 'select(.dead > 0).queue'`,
    )
    .action(async (options: LookOptions) =>
      await line.withNats(async (nats) => {
        let names: string[] = [];
        // Without a watch, the word for nothing is not part of the result.
        const none = options.watch ? [NONE] : [];
        const counted = await look(line, options, async () => {
          names = await queueNames(nats, options) ?? names;
          return await countQueues(nats, names, options);
        }, {
          ...TABLE,
          lines: (counted, colours, maxWidth) => counted.length > 0 ? TABLE.lines(counted, colours, maxWidth) : none,
          brief: (counted) => counted.length > 0 ? TABLE.brief(counted) : none,
        });
        if (counted.length === 0 && !options.watch) line.hint(NONE);
      }, { follows: options.watch })
    );
}

/** The names of the queues; `null` during a watch without a connection. */
async function queueNames(nats: Nats, { watch }: LookOptions): Promise<string[] | null> {
  try {
    return await Array.fromAsync(nats.stores.jobQueues());
  } catch (error) {
    if (watch && error instanceof JetStreamStoreError && error.code === "disconnected") return null;
    throw error;
  }
}
