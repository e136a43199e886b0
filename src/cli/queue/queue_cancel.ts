import type { Command } from "commander";
import type { CommandLine } from "../command_line.ts";
import { confirm } from "../confirm.ts";
import { named } from "../terminal/text.ts";
import { actOnEach } from "../act_on_each.ts";

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
      await confirm(line, `cancel ${named("job", ids)} in queue ${name}`);
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const act = (id: string) => nats.confirmed(queue.cancel(id));
        const none = (ids: string) => `there is no job in queue ${name}: ${ids}`;
        await actOnEach(line, ids, { field: "id", act, done: "cancelled", none });
      });
    });
}
