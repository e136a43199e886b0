import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import type { NatsServer } from "../../src/testing/mod.ts";
import type { Comparison } from "./_comparison.ts";
import { type Figures, measureGrowth, runMeasured } from "./_growth.ts";
import type { QueuesSettings } from "./_queues_process.ts";

const PART = "queues";

/** Queues with three replicas at most: each has five Raft groups on every server, and with 1 250 of them three servers on two busy cores lost their quorums. */
const REPLICATED_QUEUES = 100;

/**
 * Many queues with a worker each, over one connection: what they cost on one server, and with three replicas, where a server is lost as well.
 */
export async function queuesPart(comparison: Comparison): Promise<void> {
  const { quick } = comparison.options;
  const idleMs = quick ? 1_000 : 15_000;
  await measureGrowth(comparison, {
    part: PART,
    what: "queues on one server",
    count: quick ? 40 : 500,
    measure: async (queues) => {
      await using server = await startNatsServer();
      return await measure([server], { queues, replicas: 1, idleMs });
    },
  });
  await measureGrowth(comparison, {
    part: PART,
    what: "queues with three replicas",
    count: quick ? 10 : REPLICATED_QUEUES,
    measure: async (queues) => {
      await using cluster = await startNatsCluster();
      return await measure(cluster.servers, { queues, replicas: 3, idleMs });
    },
  });
}

async function measure(
  servers: readonly NatsServer[],
  given: Pick<QueuesSettings, "queues" | "replicas" | "idleMs">,
): Promise<Figures> {
  const settings: QueuesSettings = {
    ...given,
    servers: servers.map(({ url, pid, monitorUrl, storeDir, name }) => ({ url, pid, monitorUrl, storeDir, name })),
  };
  return await runMeasured<Figures>("_queues_process.ts", { ...settings });
}
