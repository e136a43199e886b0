// The harness that finds the next faults: `deno task test:chaos [--seed N] [--minutes N] [--replicas 3] [--keep]`.
import { parseArgs } from "node:util";
import { report } from "../ledger/report.ts";
import { runChaos } from "./run_chaos.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(crypto.getRandomValues(new Uint16Array(1))[0]) },
    minutes: { type: "string", default: "1" },
    replicas: { type: "string", default: "1" },
    keep: { type: "boolean", default: false },
  },
});
const [seed, minutes, replicas] = [values.seed, values.minutes, values.replicas].map(Number);
if (!Number.isSafeInteger(seed) || !(minutes > 0) || (replicas !== 1 && replicas !== 3)) {
  throw new RangeError("Cannot run as --seed must be a whole number, --minutes a number > 0, and --replicas 1 or 3");
}
console.log(`Seed ${seed}: repeat this run with --seed ${seed} --minutes ${minutes} --replicas ${replicas}`);
const began = performance.now();
const result = await runChaos({ seed, duration: minutes * 60_000, replicas, keep: values.keep, log: console.log });
console.log(report({ ...result, left: [], took: performance.now() - began }));
if (result.violations.length > 0) Deno.exit(1);
