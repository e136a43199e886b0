import { type Command, InvalidArgumentError } from "commander";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { wholeNumber } from "../option_values.ts";
import { existingQueue } from "./existing_queue.ts";

const PRIORITIES = ["high", "normal", "low"] as const;

type Given = { [priority in (typeof PRIORITIES)[number]]?: number | typeof NONE };

/** Lifts a limit. */
const NONE = "none";

/** `queue limit`: limits the jobs that are active at the same time. */
export function queueLimit(queue: Command, line: CommandLine): void {
  queue.command("limit")
    .description("limit how many jobs of a priority are active at the same time, over all workers; none lifts a limit")
    .argument("<queue>")
    .option("--high <n>", "of the high ones, or none", limit)
    .option("--normal <n>", "of the normal ones, or none", limit)
    .option("--low <n>", "of the low ones, or none", limit)
    .addHelpText(
      "after",
      `
Examples:
  cli queue limit mails --normal 5
  cli queue limit mails --normal none`,
    )
    .action(async (name: string, given: Given) => {
      const limits = Object.fromEntries(
        Object.entries(given).map(([priority, limit]) => [priority, limit === NONE ? null : limit]),
      );
      if (Object.keys(limits).length === 0) {
        throw new CommandFailure("say which limit: --high, --normal or --low", EXIT.usage);
      }
      await line.withNats(async (nats) => {
        const queue = await existingQueue(nats, name);
        await nats.confirmed(queue.limitActive(limits));
        const text = PRIORITIES.filter((priority) => limits[priority] !== undefined)
          .map((priority) => `${priority}: ${limits[priority] ?? "no limit"}`);
        line.print({ queue: name, ...limits }, () => [`${name}: ${text.join(", ")}`]);
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
