import type { KvBucket } from "../../mod.ts";
import { now } from "../ledger/ledger_file.ts";
import type { ClientContext } from "./_client_context.ts";

/** Keys of the accounts. */
export const ACCOUNTS = Array.from({ length: 8 }, (_, i) => `account.${i}`);

/** What each account has in the beginning. */
export const DEPOSIT = 100;

/** What the key of a client's moves begins with. */
export const MOVES = "moves.";

/** Milliseconds between two moves. */
const PAUSE = 100;

/** Moves money by transactions, each of which also counts the client's moves, and reads all accounts as of one moment. */
export async function moveMoney(context: ClientContext, bank: KvBucket): Promise<void> {
  const { client, calls } = context;
  const known = { count: 0, pending: false };
  const note = () => context.note({ what: "incremented", key: "moves", client, ...known, at: now() });
  await context.repeat(PAUSE, async (step) => {
    const [from, to] = [step % ACCOUNTS.length, (step + 1 + Math.floor(step / 7) % 6) % ACCOUNTS.length];
    const keys = [ACCOUNTS[from], ACCOUNTS[to], `${MOVES}${client}`];
    const entries = await calls.make(
      "read accounts",
      () => bank.getMany([...ACCOUNTS, keys[2]], { snapshot: true }),
    );
    if (!entries) return;
    const sum = sumOf(ACCOUNTS.map((key) => entries.get(key)?.text()));
    if (sum !== ACCOUNTS.length * DEPOSIT) context.wrong(`The accounts have ${sum} in a snapshot`);
    const [one, other, moves] = keys.map((key) => entries.get(key));
    const stored = Number(moves?.text() ?? 0);
    if (stored === known.count + 1 && known.pending) {
      known.count++;
      known.pending = false;
    } else if (stored !== known.count) context.wrong(`${keys[2]} is ${stored}, and ${known.count} moves were made`);
    if (!one || !other) return;
    // An earlier one that was unconfirmed may be what refuses this one.
    const wasPending = known.pending;
    known.pending = true;
    note();
    const amount = 1 + step % 9;
    const result = await calls.make("move money", () =>
      bank.atomic()
        .check(one.key, one.revision).put(one.key, `${Number(one.text()) - amount}`)
        .check(other.key, other.revision).put(other.key, `${Number(other.text()) + amount}`)
        .check(keys[2], moves?.revision ?? null).put(keys[2], `${known.count + 1}`)
        .commit());
    if (result === null) return;
    if (result.ok) known.count++;
    known.pending = !result.ok && wasPending;
    note();
  });
}

/** The sum of balances; NaN if one is missing. */
export function sumOf(balances: (string | undefined)[]): number {
  return balances.reduce((sum, balance) => sum + Number(balance), 0);
}
