import type { KvBucket } from "../../mod.ts";
import { now } from "../ledger/ledger_file.ts";
import type { ClientContext } from "./_client_context.ts";

/** What a counter holds: its value, and how often each client has incremented it. */
export interface Counter {
  total: number;
  by: Record<string, number>;
}

/** The counter that is incremented by `modify`. */
const MODIFIED = "counter.modified";

/** Counters that all clients increment. */
export const COUNTERS = ["counter.a", "counter.b", MODIFIED];

/** Milliseconds between two tries. */
const PAUSE = 60;

/** What a client knows of its own increments of one counter. */
interface Known {
  count: number;
  /** Whether the next one may have been stored. */
  pending: boolean;
}

/** Increments counters by compare and set, so that each increment counts once, whatever is confirmed. */
export async function incrementCounters(context: ClientContext, counters: KvBucket): Promise<void> {
  const known = new Map(COUNTERS.map((key): [string, Known] => [key, { count: 0, pending: false }]));
  await context.repeat(PAUSE, async (step) => {
    const key = COUNTERS[step % COUNTERS.length];
    await (key === MODIFIED ? modify : increment)(context, counters, key, known.get(key)!);
  });
}

async function increment(context: ClientContext, counters: KvBucket, key: string, known: Known): Promise<void> {
  const { client, calls } = context;
  const entry = await calls.make("read counter", () => counters.get(key));
  const counter: Counter = entry?.json() ?? { total: 0, by: {} };
  if (entry) catchUp(context, key, known, counter.by[client] ?? 0);
  const next = { total: counter.total + 1, by: { ...counter.by, [client]: known.count + 1 } };
  const value = JSON.stringify(next);
  known.pending = true;
  note(context, key, known);
  const revision = await calls.make(
    "update counter",
    () => entry ? counters.update(key, value, entry.revision) : counters.create(key, value),
  );
  if (typeof revision !== "number") return;
  known.count++;
  known.pending = false;
  note(context, key, known);
}

/** Increments a counter by what it says of this client, so that a change that is stored twice counts twice. */
async function modify(context: ClientContext, counters: KvBucket, key: string, known: Known): Promise<void> {
  const { client, calls } = context;
  let called = false;
  const entry = await calls.make("modify counter", () =>
    counters.modify(key, (entry) => {
      const { total, by }: Counter = entry?.json() ?? { total: 0, by: {} };
      const stored = by[client] ?? 0;
      // Between two calls only a write of an earlier step may have been stored.
      if (entry && (known.pending || !called)) catchUp(context, key, known, stored);
      else if (stored !== known.count) context.wrong(`${key} says ${stored} before an increment is confirmed`);
      called = true;
      return JSON.stringify({ total: total + 1, by: { ...by, [client]: stored + 1 } });
    }));
  if (entry === null) known.pending ||= called;
  else {
    known.count++;
    known.pending = false;
  }
  note(context, key, known);
}

/** Compares what a counter says of this client with what the client knows. */
function catchUp(context: ClientContext, key: string, known: Known, stored: number): void {
  if (stored === known.count) return;
  if (known.pending && stored === known.count + 1) {
    known.count++;
    known.pending = false;
    return note(context, key, known);
  }
  context.wrong(`${key} says ${stored} increments of ${context.client}, which made ${known.count}`);
}

function note(context: ClientContext, key: string, { count, pending }: Known): void {
  context.note({ what: "incremented", key, client: context.client, count, pending, at: now() });
}
