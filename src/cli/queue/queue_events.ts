import { type Command, Option } from "commander";
import type { JobEvent } from "../../../mod.ts";
import { EVENT_TYPES, type EventDetails } from "../../queue/format/job_event.ts";
import type { CommandLine } from "../command_line.ts";
import type { Colours } from "../terminal/colours.ts";
import { oneLine } from "../terminal/text.ts";

/** `queue events`: follows what happens to jobs. */
export function queueEvents(queue: Command, line: CommandLine): void {
  queue.command("events")
    .description("follow what happens to the jobs of a queue, live, in all workers, until Ctrl-C")
    .argument("<queue>")
    .addOption(new Option("--only <type...>", "only events of these types").choices(EVENT_TYPES))
    .addHelpText(
      "after",
      `
Examples:
  cli queue events checks
  cli queue events checks --only failed dead
  cli queue events checks --json | jq -r 'select(.type == "dead").reason'`,
    )
    .action(async (name: string, { only = EVENT_TYPES }: { only?: readonly JobEvent["type"][] }) =>
      await line.withNats(async ({ stores }) => {
        for await (const event of stores.jobQueue(name).events({ signal: line.signal })) {
          if (only.includes(event.type)) line.print(event, () => [describe(event, line.screen.colours)]);
        }
      }, { follows: true })
    );
}

function describe({ type, id, at, ...details }: JobEvent, colours: Colours): string {
  const { dim, green, red, yellow } = colours;
  const { attempt, value, reason }: EventDetails = details;
  const paint =
    { completed: green, failed: yellow, retried: yellow, dead: red, expired: red, cancelled: red }[type as string];
  return [
    dim(at.toLocaleTimeString("en-GB")),
    (paint ?? String)(type.padEnd(9)),
    oneLine(id),
    ...attempt === undefined ? [] : [dim(`attempt ${attempt}`)],
    ...value === undefined ? [] : [oneLine(JSON.stringify(value))],
    ...reason === undefined ? [] : [oneLine(reason)],
  ].join("  ");
}
