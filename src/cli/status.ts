import { ServerVersion } from "../connection/server_version.ts";
import type { Command } from "commander";
import type { ConnectionInfo } from "../../mod.ts";
import { CommandFailure } from "./command_failure.ts";
import type { CommandLine, Nats } from "./command_line.ts";
import { look, type LookOptions } from "./look.ts";
import { durationOption } from "./option_values.ts";
import type { Colours } from "./terminal/colours.ts";
import { columns } from "./terminal/columns.ts";

/** What this library can do only with newer servers, and the version that brought it. */
const FEATURES = [
  { feature: "delayed jobs, retries as moves", since: "2.12" },
  { feature: "batches stored whole or not at all", since: "2.12" },
  { feature: "repeating jobs (schedules)", since: "2.14" },
];
/** Older ones may stop to fire schedules when they are restarted on a busy machine. */
const RECOMMENDED = "2.15.0";

/** Looks that the round trip is the median of. */
const SAMPLES = 5;

/** What `status` prints. */
interface Status extends Partial<ConnectionInfo> {
  connected: boolean;
  /** Milliseconds to JetStream and back; `null` if there was no answer. */
  roundTrip: number | null;
  features: { feature: string; since: string; available: boolean }[];
}

/** `status`: the server, its features and the round trip. */
export function statusCommand(program: Command, line: CommandLine): void {
  program.command("status")
    .description("show the connection, the server, its features and the round trip time")
    .option("-w, --watch", "repeat until Ctrl-C, also while there is no connection")
    .addOption(durationOption("-i, --interval", "between two looks", "1s"))
    .addHelpText(
      "after",
      `
Examples:
  cli status
  cli status --json | jq .roundTrip
  cli status --server nats://10.0.0.7 || echo "not there (exit code 3)"
  cli status --watch`,
    )
    .action(async (options: LookOptions) =>
      await line.withNats(async (nats) => {
        const { jetstream, apiPrefix } = await look(line, options, () => see(nats), {
          records: (status) => [status],
          lines: describe,
          brief: (status) => [summary(status)],
        });
        if (!options.watch && !jetstream && apiPrefix === undefined) {
          throw new CommandFailure("JetStream is off on this server: nothing can be stored there");
        }
      }, { follows: options.watch, patient: options.watch })
    );
}

async function see({ stores }: Nats): Promise<Status> {
  const info = stores.connectionInfo();
  const version = info?.version ?? "0";
  const features = FEATURES.map((feature) => ({
    ...feature,
    available: new ServerVersion(version).atLeast(feature.since),
  }));
  return {
    connected: info !== null,
    ...info,
    roundTrip: info?.jetstream || info?.apiPrefix ? await roundTrip(stores) : null,
    features,
  };
}

async function roundTrip(stores: Nats["stores"]): Promise<number | null> {
  const times: number[] = [];
  const { degraded } = stores.connectionCounters();
  while (times.length < SAMPLES) {
    const start = performance.now();
    await stores.kvBucket("supercheck_kv").status();
    times.push(performance.now() - start);
    if (stores.connectionCounters().degraded > degraded) return null;
  }
  return Math.round(times.sort((a, b) => a - b)[Math.floor(SAMPLES / 2)] * 1_000) / 1_000;
}

function describe(status: Status, { bold, dim, green, yellow, red }: Colours): string[] {
  if (!status.connected) return [`${red("✗")} no connection to NATS`];
  const { server, serverName, version, cluster, jetstream, apiPrefix, roundTrip, features } = status;
  const advice = new ServerVersion(version!).atLeast(RECOMMENDED)
    ? ""
    : yellow(` (${RECOMMENDED} or newer is recommended)`);
  return [
    `${green("●")} ${bold(`NATS ${version}`)} at ${server}${advice}`,
    ...columns([
      ["server", serverName! + (cluster === undefined ? "" : `, in cluster ${cluster}`)],
      ["JetStream", apiPrefix ?? (jetstream ? "on" : red("off"))],
      ["round trip", roundTrip === null ? "no answer" : `${roundTrip.toFixed(2)} ms`],
    ], [dim]),
    "",
    ...features.map(({ feature, since, available }) =>
      available ? `  ${green("✓")} ${feature}` : `  ${red("✗")} ${feature}, from ${since}`
    ),
  ];
}

function summary({ connected, version, server, roundTrip }: Status): string {
  if (!connected) return "no connection to NATS";
  return `NATS ${version} at ${server}, ${roundTrip === null ? "no answer" : `${roundTrip.toFixed(2)} ms`}`;
}
