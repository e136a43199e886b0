import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { existingQueue } from "./existing_queue.ts";

/** `queue result`: print what the handler of a job returned, as JSON, if the job was published to keep it. */
export function queueResult(queue: Command, line: CommandLine): void {
  queue.command("result")
    .description("print what the handler of a job returned, as JSON, if the job was published to keep it")
    .argument("<queue>")
    .argument("<id>", "the job's id")
    .addHelpText(
      "after",
      `
Example:
  cli queue result reports r1 | jq .rows`,
    )
    .action(async (name: string, id: string) =>
      await line.withNats(async (nats) => {
        const queue = await existingQueue(nats, name);
        const result = await nats.ask(queue.result(id));
        if (!result) throw new CommandFailure(`no result is kept of job ${JSON.stringify(id)} in queue ${name}`);
        line.screen.print(JSON.stringify(result.value, null, line.json || !line.screen.isTerminal ? undefined : 2));
      })
    );
}
