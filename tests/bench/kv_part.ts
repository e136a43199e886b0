import type { KvEntry } from "../../src/kv/kv_entry.ts";
import { compareStores, type Operation } from "./_compare_stores.ts";
import { type Comparison, type Contestant, OURS } from "./_comparison.ts";
import { natsIoKv } from "./nats_io_peer.ts";
import { rawGets, rawPeer, rawPublish } from "./raw_socket_peer.ts";
import { redisTexts } from "./redis_peer.ts";
import { type Call, sampleThroughput, textOf } from "./_sampling.ts";
import { openStage, type Stage } from "./_stage.ts";
import { supercheckKv } from "./supercheck_peer.ts";
import { todaysKv } from "./today_peer.ts";

const PART = "kv";
const KEYS = Array.from({ length: 1000 }, (_, index) => `checks.eu.${index}`);
const DAY_SECONDS = 86_400;

/** The floors with 256 calls in flight, by peer. */
const FLOORS: Record<string, Record<Operation, number>> = {
  "@nats-io/kv": { write: 2.5, read: 3 },
  "Kvm.create at every call": { write: 12, read: 12 },
};
const GO_PUT = ["kv", "put", "--bucket=go", "--randomize=1000"];
const GO_GET = ["kv", "get", "--bucket=go", "--randomize=1000"];
const GO_FLOOR = 2;
/** Of the server's limit. */
const RAW_FLOOR = 0.65;

/** `storeKV`, `loadKV`, and reads from the mirror. */
export async function kvPart(comparison: Comparison): Promise<void> {
  await using stage = await openStage();
  const peers = [
    supercheckKv(stage.stores),
    todaysKv(stage.today, "create"),
    todaysKv(stage.today, "open"),
    await natsIoKv(stage.nc),
    stage.redis && redisTexts(stage.redis.client, DAY_SECONDS),
  ];
  await stage.stores.kvBucket("raw").put("made", "");
  await stage.stores.kvBucket("go").put("made", "");
  // Its reads choose among a thousand keys, and all of them must be there.
  await stage.natsBench?.rate(...GO_PUT, "--clients=64", "--msgs=20000", "--size=200B");
  for (const bytes of [200, 1000]) {
    const text = textOf(bytes);
    await compareStores(comparison, {
      part: PART,
      size: bytes === 200 ? "200 B" : "1 KB",
      value: text,
      names: KEYS,
      titles: { write: "storeKV", read: "loadKV" },
      inFlight: [1, 64, 256],
      peers,
      floor: (peer, operation, inFlight) => inFlight === 256 ? FLOORS[peer]?.[operation] : undefined,
      others: (operation, inFlight) => [
        natsBench(comparison, stage, operation, inFlight, bytes),
        inFlight === 64 ? null : rawSocket(comparison, stage, operation, inFlight, text),
      ],
    });
  }
  await compareMirror(comparison, stage);
}

function natsBench(
  { options }: Comparison,
  { natsBench }: Stage,
  operation: Operation,
  inFlight: number,
  bytes: number,
): Contestant | null {
  if (!natsBench) return null;
  const clients = Math.min(inFlight, 64);
  const messages = options.quick ? 5_000 : 40_000 / (clients === 1 ? 4 : 1);
  const words = [...operation === "write" ? GO_PUT : GO_GET, `--clients=${clients}`, `--msgs=${messages}`];
  words.push(`--size=${bytes}B`);
  return {
    peer: "nats bench kv (Go)",
    note: clients === 1 ? undefined : `${clients} clients`,
    floor: inFlight === 256 ? GO_FLOOR : undefined,
    sample: () => clients === 1 ? natsBench.latency(...words) : natsBench.rate(...words),
  };
}

function rawSocket(
  { options }: Comparison,
  { server }: Stage,
  operation: Operation,
  inFlight: number,
  text: string,
): Contestant {
  const subjects = KEYS.map((key) => `$KV.raw.${key}`);
  const floor = inFlight === 1 ? undefined : RAW_FLOOR;
  return operation === "write"
    ? rawPeer(server.port, options.sampleTime, "PUB frames", floor, rawPublish(subjects, text, inFlight))
    : rawPeer(server.port, options.sampleTime, "direct gets", floor, rawGets("KV_raw", [subjects], inFlight));
}

/** Reads of a bucket with `cache: true`, against reads from the server. */
async function compareMirror(comparison: Comparison, { stores }: Stage): Promise<void> {
  const time = comparison.options.sampleTime;
  const mirrored = stores.kvBucket("supercheck_kv", { cache: true });
  const check = (found: unknown) => {
    if ((found as KvEntry).value.length !== 1000) throw new Error("the mirror has another value than was stored");
  };
  const contestant = (peer: string, call: Call, check?: (found: unknown) => void): Contestant => ({
    peer,
    // The clock would take longer than a call: the time of one is that of all, divided.
    sample: async () => ({ value: 1e6 / (await sampleThroughput(call, 1, { time, check })).value }),
  });
  await comparison.run({
    part: PART,
    title: "kvBucket(…, { cache: true }).get, 1 KB, one caller",
    unit: "µs",
    more: false,
    contestants: [
      contestant(OURS, (index) => mirrored.get(KEYS[index % KEYS.length]), check),
      contestant("loadKV, no mirror", (index) => stores.loadKV(KEYS[index % KEYS.length])),
    ],
  });
}
