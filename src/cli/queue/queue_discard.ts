import type { Command } from "commander";
import type { CommandLine } from "../command_line.ts";
import { confirm } from "../confirm.ts";
import { Progress } from "../terminal/progress.ts";
import { count } from "../terminal/text.ts";
import { actOnEach } from "../act_on_each.ts";
import { existingQueue } from "./existing_queue.ts";
import {
  actOnMatches,
  addDeadLetterChoice,
  checkDeadLetterChoice,
  filterOf,
  type MatchCommandOptions,
} from "./match_options.ts";

/** `queue discard`: removes dead letters. */
export function queueDiscard(queue: Command, line: CommandLine): void {
  const command = queue.command("discard")
    .description("remove dead letters for good");
  addDeadLetterChoice(command).addHelpText(
    "after",
    `
Examples:
  cli queue discard checks https://example.com/    asks first
  cli queue discard checks --match-reason "HTTP 404"    counts, and asks
  cli queue discard checks --all --yes`,
  )
    .action(async (name: string, ids: string[], options: MatchCommandOptions) => {
      checkDeadLetterChoice(ids, options);
      const { all = false } = options;
      const filter = filterOf(options);
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        if (filter) {
          return await actOnMatches(line, nats, {
            queue: name,
            what: "dead letter",
            question: (letters) => `remove ${letters} of queue ${name} for good`,
            dryRun: options.dryRun,
            done: "discarded",
            act: (options) => queue.discard(filter, options),
          });
        }
        const dead = all ? (await nats.ask(queue.counts()))?.dead ?? 0 : ids.length;
        if (!await confirm(line, `remove ${count(dead, "dead letter")} of queue ${name} for good`, options)) return;
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
