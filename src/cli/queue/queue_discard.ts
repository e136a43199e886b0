import type { Command } from "commander";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { confirm } from "../confirm.ts";
import { Progress } from "../terminal/progress.ts";
import { count } from "../terminal/text.ts";
import { actOnEach } from "../act_on_each.ts";
import { existingQueue } from "./existing_queue.ts";

/** `queue discard`: removes dead letters. */
export function queueDiscard(queue: Command, line: CommandLine): void {
  queue.command("discard")
    .description("remove dead letters for good")
    .argument("<queue>")
    .argument("[id...]", "those of `queue dead`")
    .option("-a, --all", "all of them")
    .addHelpText(
      "after",
      `
Examples:
  cli queue discard checks https://example.com/    asks first
  cli queue discard checks --all --yes`,
    )
    .action(async (name: string, ids: string[], { all = false }: { all?: boolean }) => {
      if (all === ids.length > 0) throw new CommandFailure("give ids, or --all", EXIT.usage);
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const dead = all ? (await nats.ask(queue.counts()))?.dead ?? 0 : ids.length;
        await confirm(line, `remove ${count(dead, "dead letter")} of queue ${name} for good`);
        const act = (id: string) => nats.confirmed(queue.discard(id));
        if (!all) {
          const none = (ids: string) => `there is no dead letter ${ids}`;
          return await actOnEach(line, ids, { field: "id", act, done: "discarded", none });
        }
        let discarded = 0;
        {
          using _progress = new Progress(line.screen, () => `${discarded} of ${dead} discarded …`);
          for await (const { id } of queue.deadLetters()) {
            if (line.signal.aborted) return;
            if (await act(id)) discarded++;
          }
        }
        if (discarded === 0) await existingQueue(nats, name);
        line.print({ discarded }, () => [`${count(discarded, "dead letter")} discarded`]);
      });
    });
}
