import type { NatsCluster, NatsServer } from "../../src/testing/mod.ts";
import { api } from "./api.ts";

/** The server of a cluster that leads a stream. */
export async function leaderOf(cluster: NatsCluster, stream: string): Promise<NatsServer> {
  const info = await api<{ cluster: { leader: string } }>(cluster.urls, `STREAM.INFO.${stream}`);
  return cluster.servers.find(({ name }) => name === info.cluster.leader)!;
}
