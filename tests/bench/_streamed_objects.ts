import { startNatsServer } from "../../src/testing/mod.ts";
import type { Comparison } from "./_comparison.ts";
import { type Figures, measureGrowth, runMeasured } from "./_growth.ts";
import type { StreamsReport, StreamsSettings } from "./_streams_process.ts";

const MIB = 2 ** 20;
const STREAMS = 3;

/** What the process takes that streams objects of up to 1 GiB, three at once, in each direction. */
export async function measureStreams(comparison: Comparison): Promise<void> {
  await using server = await startNatsServer();
  await measureGrowth(comparison, {
    part: "memory",
    what: `MiB of each of ${STREAMS} objects that are streamed at once`,
    count: comparison.options.quick ? 64 : 1_024,
    measure: async (size) => {
      const settings: StreamsSettings = { url: server.url, bucket: "streams", streams: STREAMS, size };
      const { begin, ...directions } = await runMeasured<StreamsReport>("_streams_process.ts", { ...settings });
      const figures: Figures = { "resident once connected, MiB": begin / MIB };
      for (const direction of ["put", "get"] as const) {
        const { took, cpu, peak } = directions[direction];
        const title = `${direction}Stream`;
        figures[`${title}: resident at most, MiB`] = peak / MIB;
        figures[`${title}: MB/s`] = STREAMS * size * MIB / took / 1e6;
        figures[`${title}: CPU for each MiB, ms`] = cpu / (STREAMS * size) * 1e3;
      }
      return figures;
    },
  });
}
