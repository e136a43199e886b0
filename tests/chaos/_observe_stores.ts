import type { JetStreamStores } from "../../mod.ts";
import { ACCOUNTS, MOVES, sumOf } from "./_bank.ts";
import { type Counter, COUNTERS } from "./_counters.ts";
import { versionOf } from "./_objects.ts";
import type { StoreObservation } from "./check_stores.ts";

/** What buckets hold in the end. */
export type Stored = Omit<StoreObservation, "notes" | "chaos">;

/** Reads all that the clients have written. */
export async function observeStores(stores: JetStreamStores): Promise<Stored> {
  const values = new Map<string, number>();
  for await (const entry of stores.kvBucket("values").entries()) values.set(entry.key, Number(entry.text()));
  const claims = new Map<string, string>();
  for await (const entry of stores.kvBucket("claims").entries()) claims.set(entry.key, entry.text());
  const objects = new Map<string, number>();
  const bucket = stores.objectBucket("objects");
  for await (const { name } of bucket.list()) {
    const bytes = await bucket.get(name);
    if (bytes) objects.set(name, versionOf(bytes));
  }
  const counters = new Map<string, Counter>();
  for (const key of COUNTERS) {
    const entry = await stores.kvBucket("counters").get(key);
    if (entry) counters.set(key, entry.json());
  }
  const accounts = new Map<string, string>();
  for await (const entry of stores.kvBucket("bank").entries()) accounts.set(entry.key, entry.text());
  const moves = [...accounts].filter(([key]) => key.startsWith(MOVES))
    .map(([key, text]) => [key.slice(MOVES.length), Number(text)]);
  counters.set("moves", { total: sumOf(moves.map(([, count]) => `${count}`)), by: Object.fromEntries(moves) });
  const money = sumOf(ACCOUNTS.map((key) => accounts.get(key)));
  return { values, claims, objects, counters, money };
}
