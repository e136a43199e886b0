import type { Command } from "commander";
import type { Priority } from "../../../mod.ts";
import type { CommandLine } from "../command_line.ts";
import { existingQueue } from "./existing_queue.ts";
import { priorityOption } from "./priority_option.ts";

/** `queue resume`: ends a pause. */
export function queueResume(queue: Command, line: CommandLine): void {
  queue.command("resume")
    .description("end a pause: the workers of all processes fetch jobs again at once")
    .argument("<queue>")
    .addOption(priorityOption("only the jobs of this priority"))
    .addHelpText("after", "\nExample:\n  cli queue resume mails")
    .action(async (name: string, { priority }: { priority?: Priority }) =>
      await line.withNats(async (nats) => {
        const queue = await existingQueue(nats, name);
        await nats.confirmed(queue.resume({ priority }));
        line.print({ queue: name, paused: false, priority: priority ?? null }, () => [`resumed ${name}`]);
      })
    );
}
