import { type Command, Option } from "commander";
import type { Priority } from "../../../mod.ts";
import type { CommandLine } from "../command_line.ts";
import { duration, moment } from "../option_values.ts";
import { localTime } from "../terminal/text.ts";
import { existingQueue } from "./existing_queue.ts";
import { priorityOption } from "./priority_option.ts";

interface PauseOptions {
  for?: number;
  until?: Date;
  priority?: Priority;
}

/** `queue pause`: holds jobs back. */
export function queuePause(queue: Command, line: CommandLine): void {
  queue.command("pause")
    .description("stop the delivery of jobs to all workers; active jobs finish")
    .argument("<queue>")
    .option("--for <duration>", "how long, e.g. 10m; else until `queue resume`", duration)
    .addOption(
      new Option("--until <moment>", "until then, e.g. 2030-01-31T18:00:00Z").argParser(moment).conflicts("for"),
    )
    .addOption(priorityOption("only the jobs of this priority"))
    .addHelpText(
      "after",
      `
Examples:
  cli queue pause mails --for 10m
  cli queue pause mails --priority low`,
    )
    .action(async (name: string, { for: time, until, priority }: PauseOptions) => {
      const end = until ?? (time === undefined ? undefined : new Date(Date.now() + time));
      await line.withNats(async (nats) => {
        const queue = await existingQueue(nats, name);
        await nats.confirmed(queue.pause(end, { priority }));
        const record = { queue: name, paused: true, until: end ?? null, priority: priority ?? null };
        line.print(record, () => [`paused ${name} ${end ? `until ${localTime(end)}` : "until it is resumed"}`]);
      });
    });
}
