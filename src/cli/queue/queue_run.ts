import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { existingQueue } from "./existing_queue.ts";

/** `queue run`: publish the job of a schedule now, beside those it makes by itself. */
export function queueRun(queue: Command, line: CommandLine): void {
  queue.command("run")
    .description("publish the job of a schedule now, beside those it makes by itself")
    .argument("<queue>")
    .argument("<id>", "the schedule's id")
    .addHelpText(
      "after",
      `
Example:
  cli queue run reports nightly`,
    )
    .action(async (name: string, id: string) =>
      await line.withNats(async (nats) => {
        const queue = await existingQueue(nats, name);
        const receipt = await nats.ask(queue.runNow(id));
        if (!receipt) throw new CommandFailure(`there is no schedule ${JSON.stringify(id)} in queue ${name}`);
        line.print(receipt, () => [receipt.id]);
      })
    );
}
