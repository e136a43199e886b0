/**
 * The command line: inspects a NATS server and manages what this library keeps there.
 *
 * ```sh
 * deno run -A jsr:@supercheck/jetstream/cli --help
 * deno run -A jsr:@supercheck/jetstream/cli status --server nats://127.0.0.1:4222
 * ```
 *
 * It needs `--allow-net`; `--allow-env` for the `SUPERCHECK_NATS_*` variables; `--allow-read` where files are named, for `object get --output`
 * `--allow-write`, too, and for `kv lock` `--allow-run`. Nothing is exported: it is a program.
 * @module
 */
import "./require_deno.ts";
import { Command, CommanderError } from "commander";
import config from "../../deno.json" with { type: "json" };
import { CommandFailure, EXIT } from "./command_failure.ts";
import { CommandLine } from "./command_line.ts";
import { Interruption } from "./interruption.ts";
import { kvCommands } from "./kv/kv_commands.ts";
import { metricsCommand } from "./metrics.ts";
import { objectCommands } from "./object/object_commands.ts";
import { dashboardCommand } from "./dashboard.ts";
import { helpCommand } from "./help.ts";
import { completionsCommand } from "./completions.ts";
import { programName, underName } from "./program_name.ts";
import { durationOption } from "./option_values.ts";
import { queueCommands } from "./queue/queue_commands.ts";
import { statusCommand } from "./status.ts";
import { Screen } from "./terminal/screen.ts";
import { topCommand } from "./top.ts";
import { JetStreamStoreError } from "../../mod.ts";
import { messageOf } from "../shown.ts";

const HELP = `
Examples:
  cli status                          the server, its features, the round trip
  cli kv ls                           the keys that storeKV keeps
  cli object get https://example.com/ the result that storeHealthcheck keeps
  cli queue counts checks --watch     job counts of a queue, live
  cli dashboard                       all of it as a web page

Credentials come from the environment (SUPERCHECK_NATS_CREDS, _TOKEN, _USER,
_PASSWORD, _NKEY_SEED, _TLS_CA, …), or are part of the URL.

Exit codes: 0 done; 1 not found, refused or not done; 2 wrong usage; 3 no
connection to NATS, or no answer. \`cli help kv get\` explains a command.`;

async function main(args: string[]): Promise<number> {
  const screen = new Screen();
  using interruption = new Interruption();
  const signal = AbortSignal.any([interruption.signal, screen.readerGone]);
  const name = programName();
  const program = new Command(name)
    .description("Manages queues, keys and objects on NATS JetStream.")
    .option("-s, --server <url>", "NATS servers (default: SUPERCHECK_NATS_URL, else nats://127.0.0.1:4222)")
    .addOption(durationOption("--timeout", "how long a call may take", "5s"))
    .option("--json", "print lines of JSON, for machines")
    .option("-y, --yes", "destroy without asking")
    .option("--raw", "write stored data to a terminal as it is, control characters too")
    .on("option:raw", () => screen.raw = true)
    .addHelpText("after", HELP)
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(see --help)")
    .configureOutput({
      writeOut: (text) => screen.writeText(underName(text, name)),
      writeErr: (text) => screen.note(underName(text.replace(/\n$/, ""), name)),
    })
    .version(config.version, "-V, --version", "print the version of this library")
    .exitOverride();
  helpCommand(program);
  const line = new CommandLine(program, screen, signal);
  for (
    const add of [
      statusCommand,
      kvCommands,
      objectCommands,
      queueCommands,
      topCommand,
      dashboardCommand,
      metricsCommand,
      completionsCommand,
    ]
  ) add(program, line);
  try {
    await program.parseAsync(args, { from: "user" });
    return line.follows ? EXIT.ok : interruption.exitCode || line.exitCode;
  } catch (error) {
    if (signal.aborted) return line.follows ? EXIT.ok : interruption.exitCode;
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    screen.note(`${screen.noteColours.red("error:")} ${messageOf(error)}`);
    return exitCodeOf(error);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommandFailure) return error.exitCode;
  if (error instanceof JetStreamStoreError) return error.code === "disconnected" ? EXIT.noConnection : EXIT.failed;
  // What the library says of a bad name, key or option.
  return error instanceof TypeError || error instanceof RangeError ? EXIT.usage : EXIT.failed;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
