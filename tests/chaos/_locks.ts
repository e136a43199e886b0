import type { KvBucket } from "../../mod.ts";
import { now } from "../ledger/ledger_file.ts";
import type { ClientContext } from "./_client_context.ts";

/** The key that stands for the lock. */
const KEY = "lock";

/** Milliseconds between two tries, and for which the lock is held. */
const PAUSE = 40;
const HOLD_MS = 60;

/** Holds a lock again and again: made by `create`, released by a delete of the revision. No two clients may hold it at the same time. */
export async function holdLock(context: ClientContext, locks: KvBucket): Promise<void> {
  const { client, calls } = context;
  await context.repeat(PAUSE, async () => {
    const revision = await calls.make("create lock", () => locks.create(KEY, client));
    if (typeof revision === "number") {
      const from = now();
      await new Promise((resolve) => setTimeout(resolve, HOLD_MS));
      // Others may have it as soon as the delete is on its way.
      context.note({ what: "held", client, from, at: now() });
    }
    if (revision === false) return;
    await release(context, locks);
  });
}

/** Releases the lock if this client has it: also where nothing told that it was created, or released. */
async function release({ client, calls }: ClientContext, locks: KvBucket): Promise<void> {
  const entry = await calls.make("read lock", () => locks.get(KEY));
  if (entry?.text() !== client) return;
  await calls.make("release lock", () => locks.delete(KEY, { revision: entry.revision }));
}
