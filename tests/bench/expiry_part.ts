import { startNatsServer } from "../../src/testing/mod.ts";
import type { Comparison } from "./_comparison.ts";
import type { ExpirySettings } from "./_expiry_process.ts";
import { type Figures, measureGrowth, runMeasured } from "./_growth.ts";

/** Up to 100 000 health checks that expire while others are stored and read: what that costs the others. */
export async function expiryPart(comparison: Comparison): Promise<void> {
  const { quick } = comparison.options;
  await measureGrowth(comparison, {
    part: "expiry",
    what: "health checks of 1 KB",
    count: quick ? 2_000 : 100_000,
    measure: async (checks) => {
      await using server = await startNatsServer();
      const { url, pid } = server;
      const settings: ExpirySettings = { url, pid, checks, ttlMs: quick ? 3_000 : 30_000 };
      return await runMeasured<Figures>("_expiry_process.ts", { ...settings });
    },
  });
}
