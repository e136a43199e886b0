import { startNatsServer } from "../../src/testing/mod.ts";
import type { Comparison } from "./_comparison.ts";
import type { CostKind, CostsSettings } from "./_costs_process.ts";
import { type Figures, measureGrowth, runMeasured } from "./_growth.ts";

/** How many of each kind are made, and with `--quick`. */
const COUNTS: Record<CostKind, [many: number, quick: number]> = {
  "key-value buckets": [400, 20],
  watches: [500, 20],
  "waiting jobs of 200 B": [200_000, 2_000],
  "delayed jobs of 200 B": [200_000, 2_000],
  "dead letters of 200 B": [50_000, 500],
};

/** What one more bucket, watch, job or dead letter costs the server and the process. */
export async function costsPart(comparison: Comparison): Promise<void> {
  for (const [kind, [many, quick]] of Object.entries(COUNTS) as [CostKind, [number, number]][]) {
    await measureGrowth(comparison, {
      part: "costs",
      what: kind,
      count: comparison.options.quick ? quick : many,
      measure: async (count) => {
        await using server = await startNatsServer();
        const { url, pid, monitorUrl, storeDir } = server;
        const settings: CostsSettings = { kind, count, url, pid, monitorUrl, storeDir };
        return await runMeasured<Figures>("_costs_process.ts", { ...settings });
      },
    });
  }
}
