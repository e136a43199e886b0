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

/** `queue redrive`: makes dead letters jobs again. */
export function queueRedrive(queue: Command, line: CommandLine): void {
  const command = queue.command("redrive")
    .description("redrive dead letters: they are jobs again, with all their attempts");
  addDeadLetterChoice(command).addHelpText(
    "after",
    `
Examples:
  cli queue redrive checks https://example.com/
  cli queue redrive checks --match-reason "HTTP 503"    counts, and asks
  cli queue redrive checks --all`,
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
            question: (letters) => `make ${letters} of queue ${name} jobs again`,
            dryRun: options.dryRun,
            done: "redriven",
            act: (options) => queue.redrive(filter, options),
          });
        }
        if (options.dryRun) {
          const dead = all ? (await nats.ask(queue.counts()))?.dead ?? 0 : ids.length;
          await confirm(line, `make ${count(dead, "dead letter")} of queue ${name} jobs again`, options);
          return;
        }
        if (!all) {
          const act = async (id: string) => await nats.confirmed(queue.redrive(id)) > 0;
          const none = (ids: string) => `there is no dead letter in queue ${name} that could become a job: ${ids}`;
          return await actOnEach(line, ids, { field: "id", act, done: "redriven", none });
        }
        let redriven = 0;
        let left = 0;
        {
          using _progress = new Progress(line.screen, () => `${count(redriven, "job")} redriven …`);
          for await (const { id } of queue.deadLetters()) {
            if (line.signal.aborted) return;
            const one = await nats.confirmed(queue.redrive(id));
            redriven += one;
            left += 1 - one;
          }
        }
        if (redriven + left === 0) await existingQueue(nats, name);
        line.print({ redriven, left }, () => [`${count(redriven, "job")} redriven`]);
        if (left > 0) line.hint(`${count(left, "dead letter")} left, as jobs of these ids are in the queue.`);
      });
    });
}
