import type { ConnectionInfo } from "../../../mod.ts";
import type { Colours } from "../terminal/colours.ts";
import { columns } from "../terminal/columns.ts";
import { count } from "../terminal/text.ts";
import type { CheckedUrl, HealthChecks } from "./health_checks.ts";

/** A round, and what was done until then. */
export interface Shown {
  /** Number of the round, from 1. */
  round: number;
  checked: CheckedUrl[];
  totals: HealthChecks["totals"];
  queue: string;
  /** The server, or `null` without a connection. */
  nats: ConnectionInfo | null;
  /** Whether the nats-server is the demo's own. */
  isPrivate: boolean;
  /** Whether the demo's own services were checked. */
  isLocal: boolean;
}

/** What was in the table, and where each part of it came from. */
export function sources(
  { queue, checked, totals, isPrivate, isLocal }: Shown,
  { bold, dim }: Colours,
  maxWidth: number,
): string[] {
  const loaded = (what: (url: CheckedUrl) => boolean) => checked.filter(what).length;
  const lines = [
    [count(totals.queued, "job"), "publishJobs", `stream WQ_${queue}, subjects wq.${queue}.>`],
    [count(totals.retried, "retry", "retries"), "by the queue", `wq.${queue}.later.>, until it is due`],
    [
      count(loaded(({ stored }) => stored), "result"),
      "storeHealthcheck",
      "object bucket supercheck, gone after 30 s",
    ],
    [
      count(loaded(({ lastState }) => lastState !== null), "state"),
      "storeKV, loadKV",
      "key-value bucket supercheck_kv, demo.state.<url>",
    ],
    [
      count(loaded(({ counters }) => counters !== null), "counter"),
      "kvBucket, update",
      "the same bucket, demo.count.<url>",
    ],
  ];
  const remains = isPrivate ? [] : [dim(isLocal ? REMOVED : KEPT)];
  return [bold("What came from where"), ...columns(lines, [undefined, undefined, dim], maxWidth), ...remains];
}

const REMOVED = "  The queue and the keys are being removed from your NATS; the results expire.";
const KEPT = "  The queue is being removed from your NATS; results, states and counters expire.";

/** What to do next. */
export function nextSteps(
  { isPrivate, isLocal }: Shown,
  watched: boolean,
  colours: Colours,
  maxWidth: number,
): string[] {
  const { bold, cyan, dim } = colours;
  const steps = [
    ...watched ? [] : [["deno task demo --watch", "repeats, also without NATS, with a dashboard"]],
    ...isLocal ? [["deno task demo https://example.com", "your URLs, and certificates"]] : [],
    ...isPrivate ? [["SUPERCHECK_NATS_URL=localhost deno task demo", "with your own NATS"]] : [],
    ["deno task cli --help", "into queues, keys, objects"],
  ];
  return [bold("Next"), ...columns(steps, [cyan, dim], maxWidth)];
}

/** One line of JSON that says the same. */
export function jsonReport({ round, checked, totals, queue, nats, isPrivate }: Shown): string {
  return JSON.stringify({
    round,
    at: new Date().toISOString(),
    nats: nats && { server: nats.server, version: nats.version, private: isPrivate },
    checks: checked.map(({ url, result, stored, lastState, counters }) => ({
      ...result,
      url,
      stored,
      lastState,
      counters,
    })),
    totals,
    sources: {
      jobs: { queue, stream: `WQ_${queue}`, subjects: `wq.${queue}.ready.normal.*` },
      results: { bucket: "supercheck", stream: "OBJ_supercheck" },
      states: { bucket: "supercheck_kv", keys: "demo.state.<url>" },
      counters: { bucket: "supercheck_kv", keys: "demo.count.<url>" },
    },
  });
}
