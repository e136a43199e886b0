import type { Command } from "commander";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { confirm, type ConfirmOptions, dryRunOption } from "../confirm.ts";
import { count } from "../terminal/text.ts";

/** `queue purge`: removes all jobs. */
export function queuePurge(queue: Command, line: CommandLine): void {
  queue.command("purge")
    .description("remove all jobs of a queue, active ones too; schedules and dead letters stay")
    .argument("<queue>")
    .addOption(dryRunOption())
    .option("--destroy", "remove the queue itself, with schedules, dead letters and results")
    .addHelpText(
      "after",
      `
Examples:
  cli queue purge checks                    says how many jobs there are, and asks
  cli queue purge old-queue --destroy --yes`,
    )
    .action(async (name: string, options: ConfirmOptions & { destroy?: boolean }) =>
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        const counts = await nats.ask(queue.counts());
        if (!counts) throw new CommandFailure(`there is no queue ${name}`);
        const { ready, active, delayed, dead } = counts;
        const jobs = count(ready.high + ready.normal + ready.low + ready.keyed + active + delayed, "job");
        if (options.destroy) {
          const what = `remove queue ${name} with ${jobs}, ${count(dead, "dead letter")}, schedules and results`;
          if (!await confirm(line, what, options)) return;
          await nats.confirmed(queue.destroy());
          return line.print({ queue: name, destroyed: true }, () => [`removed queue ${name}`]);
        }
        if (!await confirm(line, `remove ${jobs} from queue ${name}`, options)) return;
        const purged = await nats.confirmed(queue.purge());
        line.print({ queue: name, purged }, () => [`${count(purged, "job")} removed`]);
      })
    );
}
