import type { KvBucket } from "../../mod.ts";
import { now } from "../ledger/ledger_file.ts";
import type { ClientContext } from "./_client_context.ts";

/** Milliseconds between two claims. */
const INTERVAL = 500;

/** Creates keys that all other clients try to create at about the same time. */
export async function claimKeys(context: ClientContext, claims: KvBucket): Promise<void> {
  await context.repeat(INTERVAL, async () => {
    const { client } = context;
    const key = `claim.${Math.floor(now() / INTERVAL)}`;
    const revision = await context.calls.make("create claim", () => claims.create(key, client));
    if (typeof revision === "number") context.note({ what: "claimed", key, client, at: now() });
  });
}
