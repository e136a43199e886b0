import type { Command } from "commander";
import { actOnEach } from "../act_on_each.ts";
import type { CommandLine } from "../command_line.ts";
import { confirm } from "../confirm.ts";
import { named } from "../terminal/text.ts";
import { actOnMatches, addMatchOptions, checkChoice, filterOf, type MatchCommandOptions } from "./match_options.ts";

/** `queue cancel`: takes jobs out. */
export function queueCancel(queue: Command, line: CommandLine): void {
  const command = queue.command("cancel")
    .description("cancel waiting, delayed or active jobs; the signal of active ones aborts")
    .argument("<queue>")
    .argument("[id...]");
  addMatchOptions(command).addHelpText(
    "after",
    `
Examples:
  cli queue cancel checks https://example.com/    asks first
  cli queue cancel mails --match-id welcome- --match-before 2030-01-31    counts, and asks
  cli queue cancel mails 17 18 19 --yes`,
  ).action(async (name: string, ids: string[], options: MatchCommandOptions) => {
    checkChoice(ids, options, "ids, or which ones with --match-…");
    const filter = filterOf(options);
    await line.withNats(async (nats) => {
      const queue = nats.stores.jobQueue(name);
      if (filter) {
        const question = (jobs: string) => `cancel ${jobs} of queue ${name}`;
        const { reason: _, ...jobs } = filter;
        return await actOnMatches(line, nats, {
          queue: name,
          what: "job",
          question,
          dryRun: options.dryRun,
          done: "cancelled",
          act: (options) => queue.cancel(jobs, options),
        });
      }
      const jobs = await Promise.all(ids.map((id) => nats.ask(queue.get(id))));
      const there = ids.filter((_, i) => jobs[i]);
      const what = `cancel ${named("job", there)} in queue ${name}`;
      if (there.length > 0 && !await confirm(line, what, options)) return;
      const act = async (id: string) => there.includes(id) && await nats.confirmed(queue.cancel(id));
      const none = (ids: string) => `there is no job in queue ${name}: ${ids}`;
      await actOnEach(line, ids, { field: "id", act, done: "cancelled", none });
    });
  });
}
