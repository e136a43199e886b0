import type { Command } from "commander";
import type { JobInfo } from "../../../mod.ts";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { columns } from "../terminal/columns.ts";
import { localTime, oneLine, span } from "../terminal/text.ts";

/** `queue get`: looks a job up. */
export function queueGet(queue: Command, line: CommandLine): void {
  queue.command("get")
    .description("show a job that waits, is delayed or runs")
    .argument("<queue>")
    .argument("<id>")
    .addHelpText(
      "after",
      `
Examples:
  cli queue get checks https://example.com/
  cli queue get checks 42 --json | jq .data
  cli queue get checks 42 > /dev/null || echo "done, or never there (exit code 1)"`,
    )
    .action(async (name: string, id: string) =>
      await line.withNats(async (nats) => {
        const job = await nats.ask(nats.stores.jobQueue(name).get(id));
        if (!job) throw new CommandFailure(`there is no job ${JSON.stringify(id)} in queue ${name}; it may be done`);
        line.print(job, () => describe(job, line));
      })
    );
}

function describe(
  { id, data, state, priority, attempt, enqueuedAt, runAt }: JobInfo,
  { screen }: CommandLine,
): string[] {
  return columns([
    ["id", oneLine(id)],
    ["state", state + (runAt ? ` until ${localTime(runAt)}` : "")],
    ["priority", priority],
    ["attempt", String(attempt)],
    ["published", `${localTime(enqueuedAt)} (${span(Date.now() - enqueuedAt.getTime())} ago)`],
    ["data", data === undefined ? "(no JSON)" : JSON.stringify(data)],
  ], [screen.colours.dim]);
}
