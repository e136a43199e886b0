import type { TickNote } from "./tick_notes.ts";

/** When the schedule was watched, in the milliseconds of its ticks. */
export interface TickObservation {
  ticks: TickNote[];
  interval: number;
  from: number;
  /** When all faults were over. */
  quietFrom: number;
  /** When the workers were told to end, or earlier. */
  quietTo: number;
}

/** A schedule ticks on once all faults are over, and at most once for each interval. */
export function checkTicks({ ticks, interval, from, quietFrom, quietTo }: TickObservation): string[] {
  const quiet = ticks.filter(({ at }) => at >= quietFrom && at <= quietTo).length;
  const most = Math.ceil((quietTo - from) / interval) + 1;
  const all = ticks.filter(({ at }) => at <= quietTo).length;
  return [
    ...(quiet > 0
      ? []
      : [`the schedule has not ticked for ${Math.round(quietTo - quietFrom)} ms after the last fault`]),
    ...(all <= most ? [] : [`the schedule ticked ${all} times, and ${most} times at most were due`]),
  ];
}
