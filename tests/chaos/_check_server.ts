import type { NatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { api } from "../ledger/api.ts";

/** Milliseconds after which a server has noticed that clients are gone, and has removed what belonged to them. */
const CLEAN_TIMEOUT = 60_000;

interface StreamInfo {
  state: { consumer_count: number; subjects?: Record<string, number> };
}

/** What all processes together have left behind on the servers: connections, consumers of buckets, chunks of no object. */
export async function checkServers(servers: readonly NatsServer[], buckets: string[]): Promise<string[]> {
  const urls = servers.map(({ url }) => url);
  const violations: string[] = [];
  const connections = async () => {
    const seen = await Promise.all(servers.map((server) => server.monitor("/connz")));
    return seen.reduce((sum, answer) => sum + Number(answer?.num_connections ?? 0), 0);
  };
  await waitUntil(async () => await connections() === 0, CLEAN_TIMEOUT).catch(async () => {
    violations.push(`${await connections()} connections are left`);
  });
  const consumers = async (stream: string) =>
    (await api<StreamInfo>(urls, `STREAM.INFO.${stream}`)).state.consumer_count;
  for (const stream of buckets) {
    await waitUntil(async () => await consumers(stream) === 0, CLEAN_TIMEOUT).catch(async () => {
      violations.push(`${stream} has ${await consumers(stream)} consumers left`);
    });
  }
  return violations;
}

/** Chunks that belong to no object, as a count for each; those of writers that were cut off are allowed. */
export async function orphanedChunks(urls: string[], bucket: string): Promise<number> {
  const { state } = await api<StreamInfo>(urls, `STREAM.INFO.OBJ_${bucket}`, { subjects_filter: `$O.${bucket}.C.>` });
  const nuids = new Set<string>();
  const infos = await api<StreamInfo>(urls, `STREAM.INFO.OBJ_${bucket}`, { subjects_filter: `$O.${bucket}.M.>` });
  for (const subject of Object.keys(infos.state.subjects ?? {})) {
    const { message } = await api<{ message: { data: string } }>(urls, `STREAM.MSG.GET.OBJ_${bucket}`, {
      last_by_subj: subject,
    });
    nuids.add(JSON.parse(atob(message.data)).nuid);
  }
  return Object.keys(state.subjects ?? {}).filter((subject) => !nuids.has(subject.split(".").at(-1)!)).length;
}
