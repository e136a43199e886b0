import type { JobCounts } from "../../../mod.ts";
import type { Nats } from "../command_line.ts";
import type { LookFormat, LookOptions } from "../look.ts";
import { colours } from "../terminal/colours.ts";
import { type Column, table } from "../terminal/table.ts";
import { localTime, span } from "../terminal/text.ts";

/** A queue with its counts; `null`: there is no such queue, or no answer. */
export interface CountedQueue {
  queue: string;
  counts: JobCounts | null;
}

/** Counts the jobs of queues. A watch continues without a connection. */
export function countQueues(nats: Nats, names: readonly string[], { watch }: LookOptions): Promise<CountedQueue[]> {
  return Promise.all(names.map(async (queue) => {
    const counting = nats.stores.jobQueue(queue).counts();
    return { queue, counts: await (watch ? counting : nats.ask(counting)) };
  }));
}

/** The columns that a table of queues may have. */
export const QUEUE_COLUMN = {
  queue: { title: "QUEUE", cell: ({ queue }) => queue },
  oldest: {
    title: "OLDEST",
    cell: ({ counts }) => counts?.oldest === null || !counts ? "–" : span(counts.oldest),
    align: "right",
  },
  active: amount("ACTIVE", ({ active }) => active),
  delayed: amount("DELAYED", ({ delayed }) => delayed),
  state: { title: "STATE", cell: ({ counts }) => counts ? stateOf(counts) : "", shrinkTo: 8, mayGo: true },
} satisfies Record<string, Column<CountedQueue>>;

/** Pauses and limits, in a few words; empty without any. */
function stateOf({ paused, limits, rateLimit }: JobCounts): string {
  const which = paused && paused.priorities.length < 3 ? `${paused.priorities.join(", ")} ` : "";
  const until = paused?.until ? ` until ${localTime(paused.until)}` : "";
  const limited = Object.entries(limits).filter(([, limit]) => limit !== null);
  return [
    ...(paused ? [`${which}paused${until}`] : []),
    ...(limited.length > 0
      ? [`active ${limited.map(([priority, limit]) => `${priority} ≤ ${limit}`).join(", ")}`]
      : []),
    ...(rateLimit ? [`${rateLimit.jobs} starts in ${rateLimit.interval} ms`] : []),
  ].join("; ");
}

/** A column of one of the counts. */
export function amount(title: string, pick: (counts: JobCounts) => number): Column<CountedQueue> {
  return { title, cell: ({ counts }) => counts ? String(pick(counts)) : "–", align: "right" };
}

/** How a table of queues is shown; dead letters, the last column, are red. */
export function queuesFormat(columns: Column<CountedQueue>[]): LookFormat<CountedQueue[]> {
  const lines: LookFormat<CountedQueue[]>["lines"] = (counted, { dim, red }, maxWidth) => {
    const dead = amount("DEAD", ({ dead }) => dead);
    const paint = (text: string, { counts }: CountedQueue) => counts?.dead ? red(text) : text;
    return table([...columns, { ...dead, paint }], counted, { maxWidth, paintTitle: dim });
  };
  return {
    records: (counted) => counted.map(({ queue, counts }) => ({ queue, ...counts })),
    lines,
    brief: (counted) => [localTime(new Date()), ...lines(counted, colours(false), Infinity)],
  };
}
