import type { Command } from "commander";
import { actOnEach } from "../act_on_each.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { readInput } from "../input.ts";
import { parseData } from "./job_data.ts";

/** `queue update`: gives a job other data. */
export function queueUpdate(queue: Command, line: CommandLine): void {
  queue.command("update")
    .description("change the data of a waiting or delayed job")
    .argument("<queue>")
    .argument("<id>")
    .argument("[data]", "the data as JSON; without it, standard input")
    .option("-f, --file <path>", "read the data from a file")
    .addHelpText(
      "after",
      `
Examples:
  cli queue update mails welcome-ann '{"to":"ann@example.org"}'
  cli queue update mails welcome-ann --file mail.json`,
    )
    .action(async (name: string, id: string, data: string | undefined, { file }: { file?: string }) => {
      if (data !== undefined && file !== undefined) {
        throw new CommandFailure("the data comes as an argument, or with --file: not both", EXIT.usage);
      }
      const job = parseData(data ?? new TextDecoder().decode(await readInput(file, line.signal)));
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const act = (id: string) => nats.confirmed(queue.update(id, job));
        const none = (ids: string) => `there is no job in queue ${name} that is waiting or delayed: ${ids}`;
        await actOnEach(line, [id], { field: "id", act, done: "updated", none });
      });
    });
}
