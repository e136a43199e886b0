import type { Command } from "commander";
import type { CommandLine } from "../command_line.ts";
import { printList } from "../print_list.ts";
import { localTime, oneLine, span } from "../terminal/text.ts";
import { existingQueue } from "./existing_queue.ts";

/** `queue schedules`: lists what repeats. */
export function queueSchedules(queue: Command, line: CommandLine): void {
  queue.command("schedules")
    .description("list the schedules of a queue, with their next runs")
    .argument("<queue>")
    .addHelpText(
      "after",
      `
Examples:
  cli queue schedules checks
  cli queue schedules checks --json | jq -r .next`,
    )
    .action(async (name: string) =>
      await line.withNats(async (nats) => {
        const listed = await printList(line, nats.stores.jobQueue(name).schedules(), {
          record: (schedule) => schedule,
          columns: [
            { title: "ID", cell: ({ id }) => oneLine(id), shrinkTo: 24 },
            {
              title: "WHEN",
              cell: ({ every, cron, timeZone }) =>
                every === undefined ? oneLine(`${cron} ${timeZone ?? ""}`) : `every ${span(every)}`,
            },
            { title: "NEXT", cell: ({ next }) => next ? localTime(next) : "never" },
            { title: "PRIORITY", cell: ({ priority }) => priority },
            {
              title: "DATA",
              cell: ({ data }) => data === undefined ? "" : oneLine(JSON.stringify(data)),
              shrinkTo: 12,
            },
          ],
        });
        if (listed === 0) {
          await existingQueue(nats, name);
          line.hint("No schedules.");
        }
      })
    );
}
