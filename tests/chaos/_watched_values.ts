import type { KvBucket } from "../../mod.ts";
import { now } from "../ledger/ledger_file.ts";
import type { ClientContext } from "./_client_context.ts";

/** Milliseconds that a watch may take to be current once nothing is written any more. */
const CATCH_UP_TIMEOUT = 20_000;

/** Milliseconds between two looks. */
const LOOK_INTERVAL = 250;

/** A watch of all values. */
export interface WatchedValues {
  /** Waits until the watch has seen what the bucket has, notes what it has seen, and ends it. */
  settle(): Promise<void>;
}

/** Follows all values from now on, over all that happens to the connection. */
export function watchValues(context: ClientContext, values: KvBucket): WatchedValues {
  const versions = new Map<string, number>();
  const closing = new AbortController();
  const following = (async () => {
    // Watching throws while there is no connection yet. Once begun it goes on.
    while (!closing.signal.aborted) {
      await context.calls.make("stream changes", () => follow(values, closing.signal, versions), ["disconnected"]);
      await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL));
    }
  })();
  return {
    settle: async () => {
      const current = async () => sameVersions(versions, await storedVersions(context, values));
      for (const until = performance.now() + CATCH_UP_TIMEOUT; !await current() && performance.now() < until;) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL));
      }
      context.note({ what: "view", client: context.client, versions: Object.fromEntries(versions), at: now() });
      closing.abort();
      await following;
    },
  };
}

async function follow(values: KvBucket, signal: AbortSignal, versions: Map<string, number>): Promise<void> {
  for await (const entry of values.watch(undefined, { signal })) {
    if (entry.operation === "put") versions.set(entry.key, Number(entry.text()));
    else versions.delete(entry.key);
  }
}

async function storedVersions(context: ClientContext, values: KvBucket): Promise<Map<string, number> | null> {
  return await context.calls.make("stream entries", async () => {
    const stored = new Map<string, number>();
    for await (const entry of values.entries()) stored.set(entry.key, Number(entry.text()));
    return stored;
  }, ["disconnected"]);
}

function sameVersions(a: Map<string, number>, b: Map<string, number> | null): boolean {
  return b !== null && a.size === b.size && [...a].every(([key, version]) => b.get(key) === version);
}
