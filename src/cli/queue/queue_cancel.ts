import type { Command } from "commander";
import type { CommandLine } from "../command_line.ts";
import { confirm } from "../confirm.ts";
import { count } from "../terminal/text.ts";
import { eachId } from "./each_id.ts";

/** `queue cancel`: takes jobs out. */
export function queueCancel(queue: Command, line: CommandLine): void {
  queue.command("cancel")
    .description("take jobs out of a queue, whether they wait, are delayed or run; of those that run the signal aborts")
    .argument("<queue>")
    .argument("<id...>")
    .addHelpText(
      "after",
      `
Examples:
  cli queue cancel checks https://example.com/    asks first
  cli queue cancel mails 17 18 19 --yes`,
    )
    .action(async (name: string, ids: string[]) => {
      const what = ids.length === 1 ? `job ${JSON.stringify(ids[0])}` : count(ids.length, "job");
      await confirm(line, `cancel ${what} in queue ${name}`);
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const act = (id: string) => nats.confirmed(queue.cancel(id));
        await eachId(line, ids, { act, done: "cancelled", none: `there is no job in queue ${name}:` });
      });
    });
}
