import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { existingQueue } from "./existing_queue.ts";

/** `queue unschedule`: remove a schedule; the jobs it has made stay. */
export function queueUnschedule(queue: Command, line: CommandLine): void {
  queue.command("unschedule")
    .description("remove a schedule; the jobs it has made stay")
    .argument("<queue>")
    .argument("<id>", "the schedule's id")
    .addHelpText(
      "after",
      `
Example:
  cli queue unschedule checks all`,
    )
    .action(async (name: string, id: string) =>
      await line.withNats(async (nats) => {
        const queue = await existingQueue(nats, name);
        if (!await nats.confirmed(queue.unschedule(id))) {
          throw new CommandFailure(`there is no schedule ${JSON.stringify(id)} in queue ${name}`);
        }
        line.print({ queue: name, id }, () => [`unscheduled ${JSON.stringify(id)} of ${name}`]);
      })
    );
}
