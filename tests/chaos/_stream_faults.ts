import { api } from "../ledger/api.ts";
import { now } from "../ledger/ledger_file.ts";
import { denySubjects } from "./_denied_subjects.ts";
import { type FaultTargets, type MakeFault, pause } from "./_fault_targets.ts";
import type { Fault } from "./plan_faults.ts";

/** Milliseconds after a limit or a denial is lifted in which calls that were under way may still be refused. */
const REFUSED_LATE = 3_000;

/** What has a leader of its own in a cluster. */
const LED = [
  ...["WQ_chaos", "KV_values", "KV_counters", "KV_claims", "KV_locks", "OBJ_objects"].map((name) =>
    `STREAM.LEADER.STEPDOWN.${name}`
  ),
  ...["high", "normal", "low"].map((name) => `CONSUMER.LEADER.STEPDOWN.WQ_chaos.${name}`),
];

const CONSUMERS = ["high", "normal", "low"];

/** Streams whose loss costs nothing that is checked but that they come back. */
const DELETABLE = ["KV_scratch", "WQ_scratch"];

/** Streams that get full, and subjects that are denied: of buckets, and of what workers store at the end of a run. */
const FILLABLE = ["KV_values", "OBJ_objects", "WQDEAD_chaos"];
const DENIABLE = ["$KV.values.>", "$O.objects.>", "wqdead.chaos.>"];

/** What others do to streams and consumers, and what operators do to users. */
export const STREAM_FAULTS = {
  step_down: async (fault, targets) => {
    const call = pick(LED, fault);
    targets.log(call);
    await ask(targets, call);
  },
  delete_consumer: async (fault, targets) => {
    const consumer = pick(CONSUMERS, fault);
    targets.log(`delete consumer ${consumer}`);
    const from = now();
    await ask(targets, `CONSUMER.DELETE.WQ_chaos.${consumer}`);
    targets.ledger.append({ what: "deliveries_forgotten", from, at: now() });
  },
  delete_stream: async (fault, targets) => {
    const stream = pick(DELETABLE, fault);
    targets.log(`delete stream ${stream}`);
    await ask(targets, `STREAM.DELETE.${stream}`);
  },
  fill_stream: async (fault, targets) => {
    const stream = pick(FILLABLE, fault);
    targets.log(`leave no room in ${stream} for ${fault.lasts} ms`);
    const from = now();
    const info = await ask<StreamInfo>(targets, `STREAM.INFO.${stream}`);
    if (!info) return;
    await ask(targets, `STREAM.UPDATE.${stream}`, {
      ...info.config,
      discard: "new",
      max_bytes: info.state.bytes + 1,
    });
    await pause(fault.lasts);
    await ask(targets, `STREAM.UPDATE.${stream}`, info.config);
    targets.ledger.append({ what: "refusing", code: "limits", from, at: now() + REFUSED_LATE });
  },
  deny_stream: async (fault, targets) => {
    const subject = pick(DENIABLE, fault);
    targets.log(`deny ${subject} for ${fault.lasts} ms`);
    const from = now();
    denySubjects(targets.servers, [subject]);
    await pause(fault.lasts);
    denySubjects(targets.servers, []);
    targets.ledger.append({ what: "refusing", code: "permission", from, at: now() + REFUSED_LATE });
  },
} satisfies Record<string, MakeFault>;

interface StreamInfo {
  config: Record<string, unknown>;
  state: { bytes: number };
}

function pick<T>(of: T[], { target }: Fault): T {
  return of[Math.floor(target * of.length)];
}

/** Asks the servers; `null` if they do not do it, as there may be no such stream just now. */
async function ask<T>({ servers, log }: FaultTargets, call: string, body?: unknown): Promise<T | null> {
  try {
    return await api<T>(servers.map(({ url }) => url), call, body);
  } catch (error) {
    log(`not done: ${error}`);
    return null;
  }
}
