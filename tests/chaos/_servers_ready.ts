import type { NatsCluster, NatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** Milliseconds within which the servers of a cluster follow one leader again. */
const LED_TIMEOUT_MS = 120_000;

/** Milliseconds for which a server may say that something is not current. */
const CURRENT_TIMEOUT_MS = 10_000;

/**
 * Waits until servers answer again after one of them was down.
 *
 * Whether all is current they say for a while only: a server can miss a watch's consumer for good that ended while it was down.
 */
export async function serversReady(nats: NatsServer | NatsCluster, log: (line: string) => void): Promise<void> {
  if (!("servers" in nats)) return;
  const unhealthy = async (query: string) => {
    const running = nats.servers.filter(({ running }) => running);
    const answers = await Promise.all(running.map((server) => server.monitor(`/healthz${query}`)));
    return answers.find((answer) => answer?.status !== "ok");
  };
  const isHealthy = async (query: string) => await unhealthy(query) === undefined;
  await waitUntil(async () => await isHealthy("?js-server-only=true") && await nats.leader() !== null, LED_TIMEOUT_MS);
  await waitUntil(() => isHealthy(""), CURRENT_TIMEOUT_MS)
    .catch(async () => log(`not healthy: ${JSON.stringify(await unhealthy(""))}`));
}
