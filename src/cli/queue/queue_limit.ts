import { type Command, InvalidArgumentError } from "commander";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { duration, wholeNumber } from "../option_values.ts";
import { existingQueue } from "./existing_queue.ts";

const PRIORITIES = ["high", "normal", "low"] as const;

type Given = { [priority in (typeof PRIORITIES)[number]]?: number | typeof NONE };

/** Lifts a limit. */
const NONE = "none";

/** What `--rate` takes: jobs and milliseconds. */
type Rate = { jobs: number; interval: number } | typeof NONE;

/** `queue limit`: limits the jobs that are active at the same time, and the rate of their starts. */
export function queueLimit(queue: Command, line: CommandLine): void {
  queue.command("limit")
    .description(
      "limit how many jobs of a priority are active at the same time, or how many start within a time, over all workers; none lifts a limit",
    )
    .argument("<queue>")
    .option("--high <n>", "of the high ones, or none", limit)
    .option("--normal <n>", "of the normal ones, or none", limit)
    .option("--low <n>", "of the low ones, or none", limit)
    .option("--rate <n/duration>", "starts of all jobs within a time, e.g. 50/1s, or none", rate)
    .addHelpText(
      "after",
      `
Examples:
  cli queue limit mails --normal 5
  cli queue limit mails --rate 50/1s
  cli queue limit mails --normal none --rate none`,
    )
    .action(async (name: string, { rate, ...given }: Given & { rate?: Rate }) => {
      const limits = Object.fromEntries(
        Object.entries(given).map(([priority, limit]) => [priority, limit === NONE ? null : limit]),
      );
      if (Object.keys(limits).length === 0 && rate === undefined) {
        throw new CommandFailure("say which limit: --high, --normal, --low or --rate", EXIT.usage);
      }
      await line.withNats(async (nats) => {
        const queue = await existingQueue(nats, name);
        if (Object.keys(limits).length > 0) await nats.confirmed(queue.limitActive(limits));
        const start = rate === NONE ? null : rate;
        if (start !== undefined) await nats.confirmed(queue.limitRate(start));
        const text = PRIORITIES.filter((priority) => limits[priority] !== undefined)
          .map((priority) => `${priority}: ${limits[priority] ?? "no limit"}`);
        if (start !== undefined) {
          text.push(`rate: ${start ? `${start.jobs} starts in ${start.interval} ms` : "no limit"}`);
        }
        line.print(
          { queue: name, ...limits, ...(start !== undefined && { rate: start }) },
          () => [`${name}: ${text.join(", ")}`],
        );
      });
    });
}

function limit(text: string): number | typeof NONE {
  if (text === NONE) return NONE;
  try {
    return wholeNumber(text);
  } catch {
    throw new InvalidArgumentError("It must be a whole number from 1, or none.");
  }
}

function rate(text: string): Rate {
  if (text === NONE) return NONE;
  const [, jobs, interval] = /^(\d{1,9})\/(.+)$/.exec(text) ?? [];
  if (jobs === undefined) throw new InvalidArgumentError("It must be like 50/1s, or none.");
  return { jobs: wholeNumber(jobs), interval: duration(interval) };
}
