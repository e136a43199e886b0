import type { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import type { Comparison } from "./_comparison.ts";
import { type Figures, measureGrowth, runMeasured } from "./_growth.ts";
import type { KeysReport, KeysRole, KeysSettings } from "./_keys_process.ts";
import { usageOf } from "./_process_usage.ts";
import { sampleThroughput, textOf } from "./_sampling.ts";
import { connectStores } from "./supercheck_peer.ts";

const BUCKET = "keys";
const IN_FLIGHT = 256;
const MIB = 2 ** 20;
const VALUE = textOf(200);

const ROLES: Record<KeysRole, string> = {
  keys: "keys()",
  watch: "watch() to the end of what is there",
  mirror: "the mirror, until it answers",
};

/** A bucket of up to 500 000 keys: what it takes to list them, to watch them from the start, and to mirror them, on both sides. */
export async function keysPart(comparison: Comparison): Promise<void> {
  await using server = await startNatsServer();
  await using stores = await connectStores(server.url);
  let stored = 0;
  await measureGrowth(comparison, {
    part: "keys",
    what: "keys",
    count: comparison.options.quick ? 20_000 : 500_000,
    measure: async (keys) => {
      await fill(stores, stored, keys);
      stored = keys;
      const figures: Figures = { "memory of the server, MiB": usageOf(server.pid).resident / MIB };
      for (const role of ["keys", "watch", "mirror"] as const) {
        const settings: KeysSettings = { role, url: server.url, pid: server.pid, bucket: BUCKET, keys };
        const report = await runMeasured<KeysReport>("_keys_process.ts", { ...settings });
        const what = ROLES[role];
        figures[`${what}: time, s`] = report.took;
        figures[`${what}: CPU of the process for each key, µs`] = report.ownCpu / keys * 1e6;
        figures[`${what}: CPU of the server for each key, µs`] = report.serverCpu / keys * 1e6;
        figures[`${what}: most memory of the process beyond the start, MiB`] = report.ownPeak / MIB;
        figures[`${what}: heap in use afterwards, MiB`] = report.heap / MIB;
        figures[`${what}: most memory of the server beyond the start, MiB`] = report.serverPeak / MIB;
      }
      return figures;
    },
  });
}

async function fill(stores: JetStreamStores, from: number, to: number): Promise<void> {
  const bucket = stores.kvBucket(BUCKET);
  const call = (index: number) => bucket.put(`checks.eu.${from + index}`, VALUE);
  await sampleThroughput(call, IN_FLIGHT, { time: Infinity, calls: to - from });
}
