import type { Command } from "commander";
import type { JobInfo, JobQueue } from "../../../mod.ts";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine, Nats } from "../command_line.ts";
import { columns } from "../terminal/columns.ts";
import { localTime, oneLine, span } from "../terminal/text.ts";

/** `queue get`: looks a job up. */
export function queueGet(queue: Command, line: CommandLine): void {
  queue.command("get")
    .description("show a job that is waiting, delayed or active")
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
        const queue = nats.stores.jobQueue(name);
        const job = await nats.ask(queue.get(id));
        if (!job) throw new CommandFailure(await whereItIs(nats, queue, id));
        line.print(job, () => describe(job, line));
      })
    );
}

/** What is known of a job that is not in its queue. */
async function whereItIs(nats: Nats, queue: JobQueue, id: string): Promise<string> {
  const quoted = JSON.stringify(id);
  const letter = await nats.ask(queue.deadLetter(id));
  if (letter) {
    return `job ${quoted} is a dead letter of queue ${queue.name}: ${
      oneLine(letter.reason)
    }; see queue dead ${queue.name} ${quoted}`;
  }
  const isCompleted = await nats.ask(queue.result(id)) !== null;
  const state = isCompleted ? `it is completed; see queue result ${queue.name} ${quoted}` : "it may be done";
  return `there is no job ${quoted} in queue ${queue.name}; ${state}`;
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
