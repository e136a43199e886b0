// Writes, reads, increments, claims and watches values, writes and reads objects until it is told to end, and notes it all.
import { JetStreamStores } from "../../mod.ts";
import { given, told } from "../ledger/child_script.ts";
import { LagMeter } from "../ledger/lag_meter.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { LedgerFile, now, readLedgers } from "../ledger/ledger_file.ts";
import { random } from "../ledger/plan.ts";
import { ClientContext } from "./_client_context.ts";
import { moveMoney } from "./_bank.ts";
import { incrementCounters } from "./_counters.ts";
import { claimKeys } from "./_claims.ts";
import { holdLock } from "./_locks.ts";
import { useObjects } from "./_objects.ts";
import { TimedCalls } from "./_timed_calls.ts";
import { ScratchStores } from "./_scratch_stores.ts";
import { notedLogger } from "./_noted_logger.ts";
import type { StoreNote } from "./store_notes.ts";
import { useValues } from "./_values.ts";
import { watchValues } from "./_watched_values.ts";

/** What a store client is given. */
export interface StoreClientOptions {
  servers: string[];
  folder: string;
  seed: number;
  /** Its number among the clients. */
  number: number;
  /** How many clients there are. */
  clients: number;
  replicas: number;
  /** Name of the bucket and of the queue whose streams others delete. */
  scratch: string;
}

/** Milliseconds that a call may take. */
const DEADLINE = 2_500;

const options = given<StoreClientOptions>();
const { servers, folder, seed, number, replicas, scratch } = options;
const client = `client-${number}`;
using ledger = new LedgerFile<StoreNote>(folder, `${client}-${Deno.pid}`);
using lag = new LagMeter();
const stores = new JetStreamStores({ servers, timeout: DEADLINE, logger: notedLogger(ledger, client) });
const calls = new TimedCalls(ledger, client, lag, DEADLINE);
const end = told();
const context = new ClientContext({ ...options, client, stores, ledger, calls, end });
const values = stores.kvBucket("values", { replicas, history: 3 });
const draw = (what: number) => random(seed, number, what);

const watched = watchValues(context, values);
const scratched = new ScratchStores(context, stores, scratch, replicas);
await Promise.all([
  scratched.use(),
  useValues(context, values, draw),
  incrementCounters(context, stores.kvBucket("counters", { replicas })),
  moveMoney(context, stores.kvBucket("bank", { replicas })),
  claimKeys(context, stores.kvBucket("claims", { replicas })),
  holdLock(context, stores.kvBucket("locks", { replicas })),
  useObjects(context, stores.objectBucket("objects", { replicas }), draw),
]);
await scratched.checkHealed();
ledger.append({ what: "stopped", client, at: now() });
// Until all have, the others may still write.
const stopped = () => readLedgers<StoreNote>(folder).filter(({ what }) => what === "stopped").length;
await waitUntil(() => stopped() === options.clients).catch(() => {});
await watched.settle();
// The process has nothing left afterwards, and so ends by itself.
await stores.close();
