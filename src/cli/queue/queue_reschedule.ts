import type { Command } from "commander";
import type { RescheduleOptions } from "../../../mod.ts";
import { actOnEach } from "../act_on_each.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { duration, moment } from "../option_values.ts";

/** `queue reschedule`: moves jobs to another moment. */
export function queueReschedule(queue: Command, line: CommandLine): void {
  queue.command("reschedule")
    .description("delay waiting or delayed jobs until another time")
    .argument("<queue>")
    .argument("<id...>")
    .option("--delay <duration>", "from now on, e.g. 30s or 2h", duration)
    .option("--run-at <moment>", "e.g. 2030-01-31T18:00:00Z", moment)
    .addHelpText(
      "after",
      `
Examples:
  cli queue reschedule mails welcome-ann --delay 2h
  cli queue reschedule mails welcome-ann --run-at 2030-01-31T18:00:00Z`,
    )
    .action(async (name: string, ids: string[], options: RescheduleOptions) => {
      if ((options.delay === undefined) === (options.runAt === undefined)) {
        throw new CommandFailure("give either --delay or --run-at", EXIT.usage);
      }
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const act = (id: string) => nats.confirmed(queue.reschedule(id, options));
        const none = (ids: string) => `there is no job in queue ${name} that is waiting or delayed: ${ids}`;
        await actOnEach(line, ids, { field: "id", act, done: "rescheduled", none });
      });
    });
}
