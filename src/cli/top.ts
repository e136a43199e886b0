import type { Command } from "commander";
import { JetStreamStoreError } from "../../mod.ts";
import type { CommandLine, Nats } from "./command_line.ts";
import { look } from "./look.ts";
import { durationOption } from "./option_values.ts";
import { amount, type CountedQueue, countQueues, QUEUE_COLUMN, queuesFormat } from "./queue/counted_queues.ts";
import type { Column } from "./terminal/table.ts";

/** Milliseconds between two counts of workers, and queues whose workers are asked at the same time. */
const WORKERS_EVERY_MS = 5_000;
const ASKED_TOGETHER = 16;

/** A queue with how many jobs have ended since the look before. */
interface RatedQueue extends CountedQueue {
  /** Jobs a second; `null` at the first look. */
  rate: number | null;
  /** Workers that have answered; `null`: not asked yet. */
  workers: number | null;
}

const RATE: Column<CountedQueue> = {
  title: "ENDED/S",
  cell: (queue) => {
    const { rate } = queue as RatedQueue;
    return rate === null ? "–" : rate.toFixed(rate < 10 ? 1 : 0);
  },
  align: "right",
};

const WORKERS: Column<CountedQueue> = {
  title: "WORKERS",
  cell: (queue) => String((queue as RatedQueue).workers ?? "–"),
  align: "right",
};

const TABLE = queuesFormat([
  QUEUE_COLUMN.queue,
  amount("WAITING", ({ ready }) => ready.high + ready.normal + ready.low + ready.keyed),
  QUEUE_COLUMN.oldest,
  QUEUE_COLUMN.active,
  QUEUE_COLUMN.delayed,
  RATE,
  WORKERS,
  QUEUE_COLUMN.state,
]);

/** `top`: all queues, live. */
export function topCommand(program: Command, line: CommandLine): void {
  program.command("top")
    .description(
      "show all queues until Ctrl-C: waiting, active and completed jobs, workers, pauses and dead letters",
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
        const workers = new WorkerCounts(nats);
        let before = new Map<string, { ended: number; at: number }>();
        await look(line, { watch: true, interval }, async () => {
          names = await queueNames(nats) ?? names;
          const counted = await countQueues(nats, names, { watch: true, interval });
          workers.count(names);
          const at = performance.now();
          const rated = counted.map((queue): RatedQueue => {
            const last = before.get(queue.queue);
            const ended = queue.counts?.ended;
            const rate = last === undefined || ended === undefined
              ? null
              : Math.max(0, ended - last.ended) / Math.max(1, at - last.at) * 1000;
            return { ...queue, rate, workers: workers.of(queue.queue) };
          });
          before = new Map(
            counted.flatMap(({ queue, counts }) => counts ? [[queue, { ended: counts.ended, at }]] : []),
          );
          return rated;
        }, {
          ...TABLE,
          records: (seen) =>
            (seen as RatedQueue[]).map(({ queue, counts, ...more }) => ({ queue, ...counts, ...more })),
        });
      }, { follows: true })
    );
}

/** Counts the workers of queues in the background: they take half a second to answer, and a look must not wait for them. */
class WorkerCounts {
  readonly #nats: Nats;
  readonly #counts: Map<string, number> = new Map();
  #counting = false;
  #last = -Infinity;

  constructor(nats: Nats) {
    this.#nats = nats;
  }

  /** How many workers a queue had when it was last counted. */
  of(queue: string): number | null {
    return this.#counts.get(queue) ?? null;
  }

  /** Counts those of all queues, unless that was done just now. */
  async count(queues: readonly string[]): Promise<void> {
    if (this.#counting || performance.now() - this.#last < WORKERS_EVERY_MS) return;
    this.#counting = true;
    const next = queues.values();
    await Promise.all(Array.from({ length: ASKED_TOGETHER }, async () => {
      for (const queue of next) {
        // Who may not ask sees no number.
        const workers = await this.#nats.stores.jobQueue(queue).workers().catch(() => null);
        if (workers) this.#counts.set(queue, workers.length);
        else this.#counts.delete(queue);
      }
    }));
    this.#counting = false;
    this.#last = performance.now();
  }
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
