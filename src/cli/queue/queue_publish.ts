import { type Command, Option } from "commander";
import type { PublishOptions } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { readInput } from "../input.ts";
import { duration, moment, nameAndValue, wholeNumber } from "../option_values.ts";
import { parseData } from "./job_data.ts";
import { publishLines } from "./publish_lines.ts";

interface CommandOptions {
  file?: string;
  lines?: boolean;
  id?: string;
  priority?: PublishOptions["priority"];
  delay?: number;
  runAt?: Date;
  key?: string;
  maxAttempts?: number;
  jobTimeout?: number;
  ttl?: number;
  keepResult?: number;
  replace?: boolean;
  debounce?: number;
  requestId?: string;
  header?: Record<string, string>;
}

/** `queue publish`: adds a job, or many. */
export function queuePublish(queue: Command, line: CommandLine): void {
  queue.command("publish")
    .description("publish a job, or with --lines one for each line of the input")
    .argument("<queue>")
    .argument("[data]", "the job's data as JSON; without it, standard input")
    .option("-f, --file <path>", "read the data from a file")
    .option("--lines", "each line of the input is the data of one job")
    .addOption(
      new Option(
        "--id <id>",
        "its id: a second job of the id is not added while the first is waiting, delayed or active",
      ).conflicts("lines"),
    )
    .addOption(new Option("--priority <priority>", "how urgent it is").choices(["high", "normal", "low"]))
    .option("--delay <duration>", "delayed by this time, e.g. 30s or 2h", duration)
    .option("--run-at <moment>", "delayed until then, e.g. 2030-01-31T18:00:00Z", moment)
    .option("--key <key>", "jobs of one key run one after another")
    .option("--max-attempts <n>", "attempts before it is a dead letter", wholeNumber)
    .option("--job-timeout <duration>", "how long one attempt may take", duration)
    .option("--ttl <duration>", "it is dropped if it has not started by then", duration)
    .option("--keep-result <duration>", "how long the handler's result is kept", duration)
    .addOption(new Option("--replace", "take the place of the job of this --id").conflicts("lines"))
    .addOption(
      new Option("--debounce <duration>", "as --replace, delayed for this time from now on").argParser(duration)
        .conflicts("lines"),
    )
    .addOption(new Option("--request-id <id>", "names this publish, so that a repeat is recognised").conflicts("lines"))
    .option("-H, --header <name=value>", "a header of your own; may be repeated", nameAndValue)
    .addHelpText(
      "after",
      `
Examples:
  cli queue publish checks '{"url":"https://example.com/"}'     prints the id
  cli queue publish checks '{"url":"https://example.com/"}' --id example --delay 5m
  cli queue publish index '{"shop":17}' --id shop-17 --debounce 10s
  cli queue publish mails --file mail.json --priority high
  jq -c '.users[]' users.json | cli queue publish mails --lines`,
    )
    .action(async (name: string, data: string | undefined, command: CommandOptions) => {
      const { file, lines, jobTimeout: timeout, header: headers, ...rest } = command;
      const options: PublishOptions = { ...rest, timeout, headers };
      if (data !== undefined && (file !== undefined || lines)) {
        throw new CommandFailure("the data comes as an argument, or with --file or --lines: not both", EXIT.usage);
      }
      if (lines) return await publishLines(line, name, file, options);
      const job = parseData(data ?? new TextDecoder().decode(await readInput(file, line.signal)));
      await line.withNats(async (nats) => {
        const receipt = await nats.confirmed(nats.stores.publishJob(name, job, options));
        line.print(receipt, () => [receipt.id]);
        if (receipt.duplicate) line.hint("A job of this id was there already.");
      });
    });
}
