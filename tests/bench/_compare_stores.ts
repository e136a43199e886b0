import type { Comparison, Contestant } from "./_comparison.ts";
import { type Call, sampleLatency, sampleThroughput } from "./_sampling.ts";
import type { StorePeer } from "./_store_peer.ts";

/** What is done to a store. */
export type Operation = "write" | "read";

/** What is compared of some stores. */
export interface StoreComparison<T> {
  part: string;
  /** What the values are, e.g. "1 KB". */
  size: string;
  value: T;
  /** Under these names it is stored. */
  names: string[];
  /** Whether the values expire so soon that they are stored anew before each sample of reads. */
  shortLived?: boolean;
  /** How this library calls the operations. */
  titles: Record<Operation, string>;
  /** How many calls are in flight: 1 times single calls, others count calls per second. */
  inFlight: number[];
  peers: (StorePeer<T> | null)[];
  /** The floor of this library against a peer. */
  floor?: (peer: string, operation: Operation, inFlight: number) => number | undefined;
  /** Peers of another kind. */
  others?: (operation: Operation, inFlight: number) => (Contestant | null)[];
}

/** Compares how stores write and read, first with one caller, then with many. */
export async function compareStores<T extends string | Uint8Array>(
  comparison: Comparison,
  what: StoreComparison<T>,
): Promise<void> {
  const peers = what.peers.filter((peer) => peer !== null);
  for (const peer of peers) for (const name of what.names) await peer.write(name, what.value);
  for (const operation of ["write", "read"] as const) {
    for (const inFlight of what.inFlight) {
      await comparison.run({
        part: what.part,
        title: `${what.titles[operation]}, ${what.size}, ${inFlight === 1 ? "one caller" : `${inFlight} in flight`}`,
        unit: inFlight === 1 ? "µs" : "/s",
        more: inFlight !== 1,
        contestants: [
          ...peers.map((peer) => contestant(comparison.options.sampleTime, what, peer, operation, inFlight)),
          ...what.others?.(operation, inFlight) ?? [],
        ],
      });
    }
  }
}

function contestant<T extends string | Uint8Array>(
  time: number,
  { value, names, floor, shortLived }: StoreComparison<T>,
  peer: StorePeer<T>,
  operation: Operation,
  inFlight: number,
): Contestant {
  const spare = operation === "read" ? peer.spare : undefined;
  const callers = Math.min(inFlight, spare?.inFlight ?? inFlight);
  const name = (index: number) => names[index % names.length];
  const call: Call = operation === "write"
    ? (index) => peer.write(name(index), value)
    : (index) => peer.read(name(index));
  const check = operation === "read" ? (found: unknown) => checkRead(peer.valueOf(found), value) : undefined;
  const limits = { time, calls: spare?.calls, check };
  return {
    peer: peer.peer,
    note: callers === inFlight ? undefined : `${callers} in flight`,
    floor: floor?.(peer.peer, operation, inFlight),
    before: operation === "read" && shortLived ? () => storeAll(peer, names, value) : undefined,
    sample: () => callers === 1 ? sampleLatency(call, limits) : sampleThroughput(call, callers, limits),
    after: operation === "read" ? peer.tidy : undefined,
  };
}

/** Stores the value under all names. */
export async function storeAll<T>(peer: StorePeer<T>, names: string[], value: T): Promise<void> {
  await sampleThroughput((index) => peer.write(names[index], value), 16, { time: Infinity, calls: names.length });
}

/** Comparing every byte would cost more than reading them; a wrong length or end tells of most that can go wrong. */
function checkRead<T extends string | Uint8Array>(found: T, stored: T): void {
  if (found.length !== stored.length || found.at(-1) !== stored.at(-1)) {
    throw new Error(`read ${found.length} characters or bytes, and not the ${stored.length} that were stored`);
  }
}
