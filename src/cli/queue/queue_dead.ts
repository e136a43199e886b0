import type { Command } from "commander";
import type { DeadLetter, JobQueue } from "../../../mod.ts";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine, Nats } from "../command_line.ts";
import { wholeNumber } from "../option_values.ts";
import { printList } from "../print_list.ts";
import { take } from "../take.ts";
import { columns } from "../terminal/columns.ts";
import { localTime, oneLine } from "../terminal/text.ts";
import { existingQueue } from "./existing_queue.ts";

/** `queue dead`: lists the dead letters, or shows one. */
export function queueDead(queue: Command, line: CommandLine): void {
  queue.command("dead")
    .description("list the dead letters, the newest first; or show one of them, with its stack")
    .argument("<queue>")
    .argument("[id]", "show only this one")
    .option("-n, --limit <n>", "how many at most", wholeNumber, 100)
    .addHelpText(
      "after",
      `
Examples:
  cli queue dead checks
  cli queue dead checks https://example.com/        with data, headers and stack
  cli queue dead checks --json --limit 1000 | jq -r .reason | sort | uniq -c`,
    )
    .action(async (name: string, id: string | undefined, { limit }: { limit: number }) =>
      await line.withNats(async (nats) => {
        const queue = nats.stores.jobQueue(name);
        if (id !== undefined) return await showOne(nats, queue, id, line);
        const listed = await printList(line, take(queue.deadLetters(), limit), {
          record: (letter) => letter,
          columns: [
            { title: "ID", cell: ({ id }) => oneLine(id), shrinkTo: 24 },
            { title: "DIED", cell: ({ diedAt }) => localTime(diedAt) },
            { title: "ATTEMPTS", cell: ({ attempts }) => String(attempts), align: "right" },
            { title: "REASON", cell: ({ reason }) => oneLine(reason), shrinkTo: 20 },
          ],
        });
        if (listed === 0) {
          await existingQueue(nats, name);
          line.hint("No dead letters.");
        }
        if (listed === limit) line.hint(`Only the newest ${limit}: --limit shows more.`);
      })
    );
}

async function showOne(nats: Nats, queue: JobQueue, id: string, line: CommandLine): Promise<void> {
  const letter = await nats.ask(queue.deadLetter(id));
  if (letter) return line.print(letter, () => describe(letter, line));
  throw new CommandFailure(`there is no dead letter ${JSON.stringify(id)} in queue ${queue.name}`);
}

function describe(letter: DeadLetter, { screen }: CommandLine): string[] {
  const { id, data, reason, stack, attempts, enqueuedAt, diedAt, headers } = letter;
  return columns([
    ["id", oneLine(id)],
    ["reason", oneLine(reason)],
    ["attempts", String(attempts)],
    ["published", localTime(enqueuedAt)],
    ["died", localTime(diedAt)],
    ["data", data === undefined ? "(no JSON)" : oneLine(JSON.stringify(data))],
    ...Object.entries(headers).map(([name, value]) => ["header", oneLine(`${name}: ${value}`)]),
    ...(stack ?? "").split("\n").filter((text) => text.trim() !== "").map((
      text,
      i,
    ) => [i === 0 ? "stack" : "", oneLine(text)]),
  ], [screen.colours.dim]);
}
