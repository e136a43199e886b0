import { Command, InvalidArgumentError } from "commander";

/** What the command line contains. */
export interface DemoArguments {
  /** The URLs to check, each once; none: the local services. */
  urls: string[];
  /** Milliseconds that one attempt may take; `undefined`: depends on what is checked. */
  timeout: number | undefined;
  concurrency: number;
  watch: boolean;
  /** Milliseconds between two rounds. */
  interval: number;
  json: boolean;
}

const HELP = `
Without URLs a few local services of different health are checked. Without
SUPERCHECK_NATS_URL a private nats-server is started, and installed once into the
cache where there is none. Nothing of either stays behind.

Examples:
  deno task demo                         a look at everything, in seconds
  deno task demo --watch                 a round every 2 s, with a dashboard;
                                         kill the nats-server and see
  deno task demo https://example.com     your URLs
  deno task demo --json | jq .checks     for machines: a line of JSON per round
  SUPERCHECK_NATS_URL=localhost deno task demo

Exit codes: 0 it worked (a service that is down is a result); 1 it did not, for
instance without a connection to NATS; 2 wrong usage.`;

/**
 * Reads the command line. `--help` and what is wrong with it are printed by the parser.
 *
 * @throws {CommanderError} If there is nothing left to do: `exitCode` 0 after `--help`.
 */
export function demoArguments(args: string[]): DemoArguments {
  const command = new Command("deno task demo")
    .description(
      "Checks the health of URLs through NATS JetStream: one job for each in a queue,\n" +
        "workers that fetch, results in an object bucket, states and counters in a\n" +
        "key-value bucket; then everything is loaded back and shown.",
    )
    .argument("[url...]", "http:// or https:// URLs to check")
    .option("-w, --watch", "repeat rounds until Ctrl-C, with a dashboard")
    .option("-i, --interval <ms>", "milliseconds between two rounds", milliseconds, 2_000)
    .option(
      "-t, --timeout <ms>",
      "milliseconds that one attempt may take (default: 5000, local services 1000)",
      milliseconds,
    )
    .option("-c, --concurrency <n>", "URLs that are fetched at the same time", wholeNumber, 10)
    .option("--json", "print one line of JSON for each round instead of a table")
    .addHelpText("after", HELP)
    .showHelpAfterError("(see --help)")
    .exitOverride();
  command.parse(args, { from: "user" });
  const wrong = command.args.map(whatIsWrong).filter((text) => text !== null);
  if (wrong.length > 0) command.error(`error: ${wrong.join("\n       ")}`);
  const { watch = false, json = false, timeout, interval, concurrency } = command.opts();
  return { urls: [...new Set(command.args)], watch, json, timeout, interval, concurrency };
}

function whatIsWrong(text: string): string | null {
  const url = URL.parse(text);
  if (url && ["http:", "https:"].includes(url.protocol)) {
    if (url.username === "" && url.password === "") return null;
    url.username = url.password = "";
    return `a URL must not hold a user or password, as it is stored and shown: ${url}`;
  }
  const guess = URL.parse(`https://${text}`);
  const hint = !text.includes("://") && guess?.hostname.includes(".") ? `; did you mean https://${text} ?` : "";
  return `a URL must begin with http:// or https:// and name a host: current value is ${JSON.stringify(text)}${hint}`;
}

function milliseconds(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= 1 && value <= 3_600_000) return value;
  throw new InvalidArgumentError("It must be a whole number of milliseconds from 1 to 3600000.");
}

function wholeNumber(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= 1 && value <= 1_000) return value;
  throw new InvalidArgumentError("It must be a whole number from 1 to 1000.");
}
