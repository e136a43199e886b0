import { type Command, Option } from "commander";
import type { JobInfo, Priority } from "../../../mod.ts";
import type { CommandLine } from "../command_line.ts";
import { wholeNumber } from "../option_values.ts";
import { printList } from "../print_list.ts";
import { valueExcerpt } from "../stored_value.ts";
import { take } from "../take.ts";
import { localTime, oneLine, span } from "../terminal/text.ts";
import { existingQueue } from "./existing_queue.ts";
import { priorityOption } from "./priority_option.ts";

interface PeekOptions {
  limit: number;
  active?: boolean;
  delayed?: boolean;
  keyed?: boolean;
  priority?: Priority;
}

/** `queue peek`: shows the jobs at the front. */
export function queuePeek(queue: Command, line: CommandLine): void {
  queue.command("peek")
    .description("show the first jobs of a queue, the most urgent and oldest first; they stay where they are")
    .argument("<queue>")
    .option("-n, --limit <n>", "how many at most", wholeNumber, 10)
    .addOption(new Option("--active", "only active jobs").conflicts(["delayed", "keyed"]))
    .option("--delayed", "delayed jobs, instead of those that are waiting or active")
    .addOption(new Option("--keyed", "those with a key instead").conflicts(["delayed", "priority"]))
    .addOption(priorityOption("only the jobs of this priority"))
    .addHelpText(
      "after",
      `
Examples:
  cli queue peek checks
  cli queue peek checks --active
  cli queue peek checks --delayed --limit 100
  cli queue peek checks --priority high --json | jq .data`,
    )
    .action(async (name: string, { limit, active, delayed, keyed, priority }: PeekOptions) =>
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const kind = delayed ? "delayed" : keyed ? "keyed" : active ? "active" : "waiting";
        const listed = await printList(line, take(queue.jobs({ kind, priority }), limit), {
          record: (job) => job,
          columns: [
            { title: "ID", cell: ({ id }) => oneLine(id), shrinkTo: 24 },
            { title: "STATE", cell: ({ state }) => state },
            { title: "DUE", cell: ({ runAt }) => runAt ? localTime(runAt) : "" },
            { title: "PRIORITY", cell: ({ priority }) => priority, mayGo: true },
            { title: "ATTEMPT", cell: ({ attempt }) => String(attempt), align: "right", mayGo: true },
            { title: "AGE", cell: ({ enqueuedAt }) => span(Math.max(0, Date.now() - enqueuedAt.getTime())) },
            { title: "DATA", cell: dataExcerpt, shrinkTo: 12 },
          ],
        });
        if (listed === 0) {
          await existingQueue(nats, name);
          line.hint(`No ${kind} jobs.`);
        }
        if (listed === limit) line.hint(`Only the first ${limit}: --limit shows more.`);
      })
    );
}

function dataExcerpt({ data }: JobInfo): string {
  return data === undefined ? "(no JSON)" : valueExcerpt(new TextEncoder().encode(JSON.stringify(data)));
}
