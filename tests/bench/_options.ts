import { parseArgs } from "node:util";

/** The parts that run by default, in this order. */
const USUAL_PARTS = ["kv", "objects", "queue", "latency", "memory", "backlog", "telemetry"] as const;

/** The parts that show how costs grow: they take minutes each, so they run only by name. */
const GROWTH_PARTS = ["fleet", "keys", "queues", "expiry", "costs"] as const;

/** The parts of the benchmark, in the order in which they run. */
export const PARTS = [...USUAL_PARTS, ...GROWTH_PARTS] as const;

/** The name of a part. */
export type PartName = (typeof PARTS)[number];

/** What the command line asks for. */
export interface BenchOptions {
  parts: PartName[];
  /** How often each peer is measured, after its warm-up. */
  rounds: number;
  /** Milliseconds of one sample. */
  sampleTime: number;
  /** Numbers are small: it only shows that everything works. */
  quick: boolean;
  /** The report is JSON on standard output; progress goes to standard error. */
  json: boolean;
}

/** How to call it. */
export const USAGE = `deno task bench [options]

  --only <part>   one of ${PARTS.join(", ")}; may be repeated, or a list with commas.
                  By default ${USUAL_PARTS.join(", ")}: the others show how costs grow, and take minutes each
  --rounds <n>    how often each peer is measured after its warm-up (at least 5 by default, 2 with --quick)
  --quick         short samples: shows that everything works; its figures mean little
  --json          the report as JSON`;

/**
 * Reads the command line.
 *
 * @throws {TypeError | RangeError} Naming the argument, its value and the rule.
 */
export function benchOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const { only = [], quick, json } = values;
  const named = only.flatMap((list) => list.split(","));
  for (const name of named) {
    if (!PARTS.some((part) => part === name)) {
      throw new RangeError(`Cannot run the benchmark as '--only' must be one of ${PARTS.join(", ")}: it is '${name}'`);
    }
  }
  const rounds = Number(values.rounds ?? (quick ? 2 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(
      `Cannot run the benchmark as '--rounds' must be a whole number ≥ 1: current value is ${values.rounds}`,
    );
  }
  const parts = named.length === 0 ? [...USUAL_PARTS] : PARTS.filter((part) => named.includes(part));
  return { parts, rounds, sampleTime: quick ? 100 : 500, quick, json };
}
