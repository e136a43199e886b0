import { startNatsServer } from "../../src/testing/mod.ts";
import type { Comparison } from "./_comparison.ts";
import type { FleetSettings } from "./_fleet_process.ts";
import { type Figures, measureGrowth, runMeasured } from "./_growth.ts";

/** Up to 1 200 workers, each with its own connection, on one queue: what they cost while idle, and how long a burst takes to reach all of them. */
export async function fleetPart(comparison: Comparison): Promise<void> {
  const { quick } = comparison.options;
  await measureGrowth(comparison, {
    part: "fleet",
    what: "workers",
    count: quick ? 100 : 1_200,
    measure: async (workers) => {
      await using server = await startNatsServer();
      const { url, pid, monitorUrl } = server;
      const settings: FleetSettings = { url, pid, monitorUrl, workers, idleMs: quick ? 2_000 : 30_000 };
      return await runMeasured<Figures>("_fleet_process.ts", { ...settings });
    },
  });
}
