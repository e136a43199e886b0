import { random } from "../ledger/plan.ts";

/** What can be done. A link is the way of one process to the server. */
export type FaultKind =
  | "cut_link"
  | "half_close_link"
  | "hold_link"
  | "delay_link"
  | "throttle_link"
  | "suspend_worker"
  | "kill_worker"
  | "suspend_client"
  | "kill_server"
  | "restart_server"
  | "suspend_server"
  | "lame_duck_server";

/** One fault, and when. */
export interface Fault {
  /** Milliseconds after the beginning. */
  at: number;
  kind: FaultKind;
  /** In [0, 1): which of those that it can be done to. */
  target: number;
  /** Milliseconds until it is over. */
  lasts: number;
  /** In [0, 1): which way of doing it, where there are several. */
  way: number;
}

/** What a plan is made by. */
export interface FaultPlanOptions {
  seed: number;
  /** Milliseconds in which faults begin. */
  duration: number;
  /** Milliseconds from one fault to the next, on average. */
  interval: number;
  /** Milliseconds of the queue's lease: some faults outlast it. */
  lease: number;
}

/** Milliseconds before the first fault: all processes have begun. */
const QUIET_START = 3_000;

/** How often each fault is drawn, and how long it lasts at least and at most, in milliseconds. */
const FAULTS: Record<FaultKind, { weight: number; lasts: [least: number, most: number]; mayOutlastLease?: boolean }> = {
  cut_link: { weight: 3, lasts: [0, 0] },
  half_close_link: { weight: 2, lasts: [500, 3_000] },
  hold_link: { weight: 4, lasts: [200, 4_000], mayOutlastLease: true },
  delay_link: { weight: 2, lasts: [1_000, 5_000] },
  throttle_link: { weight: 2, lasts: [1_000, 5_000] },
  suspend_worker: { weight: 2, lasts: [300, 3_000], mayOutlastLease: true },
  kill_worker: { weight: 2, lasts: [0, 0] },
  suspend_client: { weight: 1, lasts: [300, 4_000] },
  kill_server: { weight: 1.5, lasts: [0, 2_000] },
  restart_server: { weight: 1, lasts: [0, 1_000] },
  suspend_server: { weight: 1, lasts: [300, 5_000] },
  lame_duck_server: { weight: 0.5, lasts: [500, 3_000] },
};

/** All kinds of faults. */
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

/** The faults of a run: the same for the same options. */
export function planFaults({ seed, duration, interval, lease }: FaultPlanOptions): Fault[] {
  const faults: Fault[] = [];
  for (let at = QUIET_START, number = 0;; number++) {
    const draw = (what: number) => random(seed, number, what, 77);
    at += interval * (0.3 + 1.4 * draw(1));
    if (at > duration) return faults;
    const kind = drawKind(draw(2));
    const { lasts: [least, most], mayOutlastLease } = FAULTS[kind];
    const long = mayOutlastLease && draw(3) < 0.12;
    const lasts = Math.round(long ? lease * 1.3 : least + (most - least) * draw(4));
    faults.push({ at: Math.round(at), kind, target: draw(5), lasts, way: draw(6) });
  }
}

function drawKind(share: number): FaultKind {
  let left = share * FAULT_KINDS.reduce((sum, kind) => sum + FAULTS[kind].weight, 0);
  return FAULT_KINDS.find((kind) => (left -= FAULTS[kind].weight) < 0) ?? FAULT_KINDS[0];
}
