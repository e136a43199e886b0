/**
 * Measures this library against its peers: `deno task bench --help`.
 *
 * It fails when a measurement breaks, never because a machine is slow.
 * @module
 */
import { Comparison } from "./_comparison.ts";
import { costsPart } from "./costs_part.ts";
import { environment } from "./_environment.ts";
import { benchOptions, type PartName, USAGE } from "./_options.ts";
import { environmentText, resultText, summaryText } from "./_report.ts";
import { backlogPart } from "./backlog_part.ts";
import { expiryPart } from "./expiry_part.ts";
import { fleetPart } from "./fleet_part.ts";
import { keysPart } from "./keys_part.ts";
import { kvPart } from "./kv_part.ts";
import { latencyPart } from "./latency_part.ts";
import { memoryPart } from "./memory_part.ts";
import { objectsPart } from "./objects_part.ts";
import { queuePart } from "./queue_part.ts";
import { queuesPart } from "./queues_part.ts";
import { telemetryPart } from "./telemetry_part.ts";

const RUN: Record<PartName, (comparison: Comparison) => Promise<void>> = {
  kv: kvPart,
  objects: objectsPart,
  queue: queuePart,
  latency: latencyPart,
  memory: memoryPart,
  backlog: backlogPart,
  telemetry: telemetryPart,
  fleet: fleetPart,
  keys: keysPart,
  queues: queuesPart,
  expiry: expiryPart,
  costs: costsPart,
};

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  const options = benchOptions(args);
  const tell = options.json ? console.error : console.log;
  const where = await environment(options);
  tell(`${environmentText(where)}\n`);
  const comparison = new Comparison(options, (result) => tell(`${resultText(result)}\n`));
  for (const part of options.parts) {
    try {
      await RUN[part](comparison);
    } catch (error) {
      comparison.breaks(part, "the whole part", "all", error);
    }
  }
  const { results, broken } = comparison;
  tell(summaryText(results, broken));
  if (options.json) console.log(JSON.stringify({ environment: where, options, results, broken }, null, 2));
  return broken.length === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
