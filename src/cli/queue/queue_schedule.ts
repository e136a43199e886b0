import { type Command, Option } from "commander";
import type { Priority } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { duration } from "../option_values.ts";
import { parseData } from "./job_data.ts";
import { priorityOption } from "./priority_option.ts";

interface ScheduleCommandOptions {
  every?: number;
  cron?: string;
  timeZone?: string;
  priority?: Priority;
}

/** `queue schedule`: keeps a schedule. */
export function queueSchedule(queue: Command, line: CommandLine): void {
  queue.command("schedule")
    .description("store a schedule that makes jobs; one with the same settings is not changed")
    .argument("<queue>")
    .argument("<id>", "the schedule's id")
    .argument("<data>", "the data of its jobs, as JSON")
    .option("--every <duration>", "how often, at least 1s", duration)
    .addOption(new Option("--cron <expression>", "when: five fields, or six with seconds first").conflicts("every"))
    .option("--time-zone <zone>", "of the cron expression, e.g. Europe/Berlin (default: UTC)")
    .addOption(priorityOption("how urgent its jobs are"))
    .addHelpText(
      "after",
      `
Examples:
  cli queue schedule checks all '{"deep":true}' --every 30s
  cli queue schedule reports nightly '{}' --cron '30 2 * * *' --time-zone Europe/Berlin`,
    )
    .action(async (name: string, id: string, data: string, options: ScheduleCommandOptions) => {
      if (options.every === undefined && options.cron === undefined) {
        throw new CommandFailure("say when: with --every or with --cron", EXIT.usage);
      }
      const schedule = { ...options, data: parseData(data) };
      await line.withNats(async (nats) => {
        await nats.confirmed(nats.stores.jobQueue(name).schedule(id, schedule));
        line.print({ queue: name, id, ...schedule }, () => [`scheduled ${JSON.stringify(id)} of ${name}`]);
      });
    });
}
