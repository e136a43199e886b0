// The long proof: `deno task test:ledger [--seed N] [--jobs N] [--replicas 3] [--leafnodes] [--large] [--refusals]`.
import { parseArgs } from "node:util";
import { report } from "./report.ts";
import { runLedger } from "./run_ledger.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(crypto.getRandomValues(new Uint16Array(1))[0]) },
    jobs: { type: "string", default: "50000" },
    replicas: { type: "string", default: "1" },
    leafnodes: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    refusals: { type: "boolean", default: false },
  },
});
const [seed, jobs, replicas] = [values.seed, values.jobs, values.replicas].map(Number);
if (![seed, jobs].every(Number.isSafeInteger) || (replicas !== 1 && replicas !== 3)) {
  throw new RangeError("Cannot run as --seed and --jobs must be whole numbers, and --replicas 1 or 3");
}
console.log(`Seed ${seed}: repeat this run with --seed ${seed}`);
const single = replicas === 1;
const { leafnodes, large, refusals } = values;
if (refusals && !single) throw new RangeError("Cannot run as --refusals must come with --replicas 1");
const result = await runLedger({
  jobs,
  seed,
  replicas,
  leafnodes,
  large,
  refusals,
  // 500 jobs a second leave this machine time for the chaos.
  duration: jobs * 2,
  interval: single ? 1_000 : 12_000,
  lease: single ? 5_000 : 30_000,
  log: console.log,
});
console.log(report(result));
if (result.violations.length + result.left.length > 0) Deno.exit(1);
