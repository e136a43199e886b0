import { loadavg } from "node:os";
import type { Comparison, Result, Row } from "./_comparison.ts";
import { runProgram } from "./_private_program.ts";

/** The parts of the work after which a growing cost is looked at. */
export const SHARES = [0.1, 0.25, 0.5, 1];

/** What one measurement found, by what was measured, with its unit. */
export type Figures = Record<string, number>;

/** How busy the machine was. */
const LOAD = "load of the machine";

/** How a cost grows with the work. */
export interface Growth {
  part: string;
  /** What there is so much of, e.g. "idle workers". */
  what: string;
  /** How much of it at most. */
  count: number;
  /** Measures with so much of it. */
  measure: (count: number) => Promise<Figures>;
}

/**
 * Measures at 10 %, 25 %, 50 % and 100 % of the work: one table with a row for each figure. Its last column tells how often the last figure is the first;
 * what grows faster than the work does so by a fault.
 */
export async function measureGrowth(comparison: Comparison, { part, what, count, measure }: Growth): Promise<void> {
  const found: Measured[] = [];
  try {
    for (const share of SHARES) {
      const now = Math.max(1, Math.round(count * share));
      const figures = await measure(now);
      found.push({ count: now, figures: { ...figures, [LOAD]: loadavg()[0] } });
    }
  } finally {
    // What was found before something broke is shown.
    if (found.length > 0) comparison.add(curves(part, what, found));
  }
}

/** What was found with so much of the work. */
interface Measured {
  count: number;
  figures: Figures;
}

function curves(part: string, what: string, found: Measured[]): Result {
  const rows = Object.keys(found[0].figures).map((label): Row => {
    const curve = found.map(({ figures }) => figures[label]);
    return {
      peer: label,
      median: curve[curve.length - 1],
      lowest: Math.min(...curve),
      highest: Math.max(...curve),
      curve,
    };
  });
  return { part, title: what, unit: "each as it says", columns: found.map(({ count }) => count), rows };
}

/** Runs a program as a process of its own: it gets its settings as JSON, and reports in JSON on standard output. */
export async function runMeasured<T>(program: string, settings: Record<string, unknown>): Promise<T> {
  const path = new URL(program, import.meta.url).pathname;
  return JSON.parse(await runProgram(Deno.execPath(), ["run", "-A", "--no-check", path, JSON.stringify(settings)]));
}
