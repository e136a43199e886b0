import type { Command } from "commander";
import { JetStreamStoreError } from "../../mod.ts";
import type { CommandLine, Nats } from "./command_line.ts";
import { look } from "./look.ts";
import { durationOption } from "./option_values.ts";
import { amount, type CountedQueue, countQueues, QUEUE_COLUMN, queuesFormat } from "./queue/counted_queues.ts";
import type { Column } from "./terminal/table.ts";

/** A queue with how many jobs have ended since the look before. */
interface RatedQueue extends CountedQueue {
  /** Jobs a second; `null` at the first look. */
  rate: number | null;
}

const RATE: Column<CountedQueue> = {
  title: "ENDED/S",
  cell: (queue) => {
    const { rate } = queue as RatedQueue;
    return rate === null ? "–" : rate.toFixed(rate < 10 ? 1 : 0);
  },
  align: "right",
};

const TABLE = queuesFormat([
  QUEUE_COLUMN.queue,
  amount("WAITING", ({ ready }) => ready.high + ready.normal + ready.low + ready.keyed),
  QUEUE_COLUMN.oldest,
  QUEUE_COLUMN.active,
  QUEUE_COLUMN.delayed,
  RATE,
  QUEUE_COLUMN.state,
]);

/** `top`: all queues, live. */
export function topCommand(program: Command, line: CommandLine): void {
  program.command("top")
    .description(
      "show all queues until Ctrl-C: how many jobs wait, run and end, which are paused, which have dead letters",
    )
    .addOption(durationOption("-i, --interval", "between two looks", "1s"))
    .addHelpText(
      "after",
      `
Example:
  cli top --interval 5s`,
    )
    .action(async ({ interval }: { interval: number }) =>
      await line.withNats(async (nats) => {
        let names: string[] = [];
        let before = new Map<string, { ended: number; at: number }>();
        await look(line, { watch: true, interval }, async () => {
          names = await queueNames(nats) ?? names;
          const counted = await countQueues(nats, names, { watch: true, interval });
          const at = performance.now();
          const rated = counted.map((queue): RatedQueue => {
            const last = before.get(queue.queue);
            const ended = queue.counts?.ended;
            if (last === undefined || ended === undefined) return { ...queue, rate: null };
            return { ...queue, rate: Math.max(0, ended - last.ended) / Math.max(1, at - last.at) * 1000 };
          });
          before = new Map(
            counted.flatMap(({ queue, counts }) => counts ? [[queue, { ended: counts.ended, at }]] : []),
          );
          return rated;
        }, {
          ...TABLE,
          records: (seen) => (seen as RatedQueue[]).map(({ queue, counts, rate }) => ({ queue, ...counts, rate })),
        });
      }, { follows: true })
    );
}

/** The names of the queues; `null` while there is no connection. */
async function queueNames({ stores }: Nats): Promise<string[] | null> {
  try {
    return (await Array.fromAsync(stores.jobQueues())).sort();
  } catch (error) {
    if (error instanceof JetStreamStoreError && error.code === "disconnected") return null;
    throw error;
  }
}
