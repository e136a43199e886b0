import type { Command } from "commander";
import type { WorkerInfo } from "../../../mod.ts";
import type { CommandLine } from "../command_line.ts";
import { look, type LookOptions } from "../look.ts";
import { durationOption } from "../option_values.ts";
import { colours } from "../terminal/colours.ts";
import { type Column, table } from "../terminal/table.ts";
import { count, oneLine, span } from "../terminal/text.ts";
import { existingQueue } from "./existing_queue.ts";

const COLUMNS: Column<WorkerInfo>[] = [
  {
    title: "WORKER",
    cell: ({ name, address, pid }) => oneLine([name, address, pid].filter(Boolean).join(" ")),
    shrinkTo: 20,
  },
  {
    title: "STATE",
    cell: ({ state, reason }) => oneLine(reason === null ? state : `${state}: ${reason}`),
    shrinkTo: 12,
  },
  { title: "BUSY", cell: ({ active, concurrency }) => `${active} of ${concurrency}`, align: "right" },
  { title: "COMPLETED", cell: ({ completed }) => String(completed), align: "right", mayGo: true },
  { title: "FAILED", cell: ({ failed }) => String(failed), align: "right", mayGo: true },
  { title: "SINCE", cell: ({ since }) => span(Date.now() - since.getTime()), align: "right" },
];

/** `queue workers`: who works on a queue, since when, and how busy each worker is. */
export function queueWorkers(queue: Command, line: CommandLine): void {
  queue.command("workers")
    .description(
      "list the workers of a queue, since when they run and how busy they are; each has half a second to answer",
    )
    .argument("<queue>")
    .option("-w, --watch", "repeat until Ctrl-C")
    .addOption(durationOption("-i, --interval", "between two looks", "2s"))
    .addHelpText(
      "after",
      `
Examples:
  cli queue workers mails
  cli queue workers mails --json | jq -r 'select(.state != "serving").address'`,
    )
    .action(async (name: string, options: LookOptions) =>
      await line.withNats(async (nats) => {
        const queue = options.watch ? nats.stores.jobQueue(name) : await existingQueue(nats, name);
        const see = async () => (await (options.watch ? queue.workers() : nats.ask(queue.workers()))) ?? [];
        const lines = (workers: WorkerInfo[], { dim }: ReturnType<typeof colours>, maxWidth: number) => [
          count(workers.length, "worker"),
          ...workers.length > 0 ? table(COLUMNS, workers, { maxWidth, paintTitle: dim }) : [],
        ];
        await look(line, options, see, {
          records: (workers) => workers,
          lines,
          brief: (workers) => lines(workers, colours(false), Infinity),
        });
      }, { follows: options.watch })
    );
}
