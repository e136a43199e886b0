import type { Command } from "commander";
import { actOnEach } from "../act_on_each.ts";
import type { CommandLine } from "../command_line.ts";

/** `queue promote`: runs delayed jobs and retries now. */
export function queuePromote(queue: Command, line: CommandLine): void {
  queue.command("promote")
    .description("run delayed jobs and retries as soon as a worker is free")
    .argument("<queue>")
    .argument("<id...>")
    .addHelpText(
      "after",
      `
Examples:
  cli queue promote mails welcome-ann`,
    )
    .action(async (name: string, ids: string[]) => {
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const act = (id: string) => nats.confirmed(queue.promote(id));
        const none = (ids: string) => `there is no job in queue ${name} that is waiting or delayed: ${ids}`;
        await actOnEach(line, ids, { field: "id", act, done: "promoted", none });
      });
    });
}
