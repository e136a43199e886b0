import type { BenchOptions } from "./_options.ts";
import { median, type Sample, within } from "./_sampling.ts";

/** Milliseconds after which a sample counts as broken. */
const SAMPLE_DEADLINE = 120_000;

/** The name under which this library competes. */
export const OURS = "@supercheck/jetstream";

/** A peer in one measure. */
export interface Contestant {
  peer: string;
  /** How its way differs from that of the others. */
  note?: string;
  /** How many times better this library must be. */
  floor?: number;
  /** Brings it to a state from which it can be sampled; not timed. */
  before?: () => Promise<unknown>;
  /** Measures once. */
  sample: () => Promise<Sample>;
  /** Checks the results and tidies up; not timed. */
  after?: () => Promise<unknown>;
}

/** What is compared. */
export interface Measure {
  part: string;
  title: string;
  unit: string;
  /** Whether a higher figure is the better one; `null`: the figures are shown, and not compared. */
  more: boolean | null;
  contestants: (Contestant | null)[];
}

/** What was found of one peer. */
export interface Row {
  peer: string;
  note?: string;
  median: number;
  lowest: number;
  highest: number;
  p99?: number;
  /** How many times better this library is. */
  ratio?: number;
  floor?: number;
  /** The figure at each of the result's columns. */
  curve?: number[];
}

/** What was found of a measure. */
export interface Result {
  part: string;
  title: string;
  unit: string;
  /** How much work there was at each point of the rows' curves. */
  columns?: number[];
  rows: Row[];
}

/** A measurement that broke. */
export interface Broken {
  part: string;
  title: string;
  peer: string;
  reason: string;
}

/** Measures peers against each other: one warm-up each, then rounds in which each has its turn, every round beginning with another one. */
export class Comparison {
  readonly options: BenchOptions;
  readonly results: Result[] = [];
  readonly broken: Broken[] = [];
  readonly #tell: (result: Result) => void;

  constructor(options: BenchOptions, tell: (result: Result) => void) {
    this.options = options;
    this.#tell = tell;
  }

  /** Compares the peers; the ones that are not on this machine are `null`. */
  async run(measure: Measure): Promise<void> {
    const { part, title, unit, more } = measure;
    const running = new Map(
      measure.contestants.filter((contestant) => contestant !== null).map((contestant) => [contestant, [] as Sample[]]),
    );
    for (let round = 0; round <= this.options.rounds; round++) {
      const turn = [...running.keys()];
      turn.push(...turn.splice(0, round % Math.max(1, turn.length)));
      for (const contestant of turn) {
        try {
          const sample = await this.#sample(contestant);
          if (round > 0) running.get(contestant)!.push(sample);
        } catch (error) {
          this.breaks(part, title, contestant.peer, error);
          running.delete(contestant);
        }
      }
    }
    const rows = [...running].map(([contestant, samples]) => rowOf(contestant, samples));
    const ours = rows.find(({ peer }) => peer === OURS);
    for (const row of rows) {
      if (!ours || row === ours || more === null) continue;
      row.ratio = more ? ours.median / row.median : row.median / ours.median;
    }
    this.add({ part, title, unit, rows });
  }

  /** Adds what was measured in another way. */
  add(result: Result): void {
    this.results.push(result);
    this.#tell(result);
  }

  /** Notes that a measurement broke. */
  breaks(part: string, title: string, peer: string, error: unknown): void {
    const reason = error instanceof Error ? error.stack ?? error.message : String(error);
    this.broken.push({ part, title, peer, reason });
    console.error(`BROKEN: ${title}: ${peer}: ${reason}`);
  }

  async #sample({ before, sample, after }: Contestant): Promise<Sample> {
    if (before) await within(SAMPLE_DEADLINE, before());
    const found = await within(SAMPLE_DEADLINE, sample());
    if (after) await within(SAMPLE_DEADLINE, after());
    if (!Number.isFinite(found.value)) throw new Error(`the sample is no number: ${found.value}`);
    return found;
  }
}

function rowOf({ peer, note, floor }: Contestant, samples: Sample[]): Row {
  const values = samples.map(({ value }) => value);
  const p99s = samples.flatMap(({ p99 }) => p99 ?? []);
  return {
    peer,
    ...(note !== undefined && { note }),
    median: median(values),
    lowest: Math.min(...values),
    highest: Math.max(...values),
    ...(p99s.length > 0 && { p99: median(p99s) }),
    ...(floor !== undefined && { floor }),
  };
}
