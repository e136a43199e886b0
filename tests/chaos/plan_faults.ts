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
  | "rolling_restart"
  | "suspend_server"
  | "lame_duck_server"
  | "step_down"
  | "delete_consumer"
  | "delete_stream"
  | "fill_stream"
  | "deny_stream";

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
  /** Milliseconds of the queue's lease: some faults outlast it. */
  lease: number;
  /** Servers, and copies of all that is stored. */
  replicas: number;
}

/** Milliseconds before the first fault: all processes have begun. */
const QUIET_START = 3_000;

/** How a kind of fault is drawn. */
interface FaultShape {
  /** How often, beside the others. */
  weight: number;
  /** Milliseconds that it lasts at least and at most. */
  lasts: [least: number, most: number];
  /** Whether it now and then outlasts the queue's lease. */
  mayOutlastLease?: boolean;
  /** Whether it takes a cluster. */
  replicated?: boolean;
}

const FAULTS: Record<FaultKind, FaultShape> = {
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
  rolling_restart: { weight: 0.5, lasts: [0, 500], replicated: true },
  suspend_server: { weight: 1, lasts: [300, 5_000] },
  lame_duck_server: { weight: 0.5, lasts: [500, 3_000] },
  step_down: { weight: 3, lasts: [0, 0], replicated: true },
  delete_consumer: { weight: 1, lasts: [0, 0] },
  delete_stream: { weight: 1, lasts: [0, 0] },
  fill_stream: { weight: 1, lasts: [500, 3_000] },
  deny_stream: { weight: 1, lasts: [500, 3_000] },
};

/** All kinds of faults. */
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

/** Milliseconds from one fault to the next, on average, at least and at most. */
const INTERVAL = [500, 1_600] as const;

/**
 * The faults of a run: the same for the same options.
 *
 * Each seed draws from some kinds only, and at a pace of its own: where a server is killed, for instance, jobs may run twice, so that only runs
 * without that show jobs that do so for another reason.
 */
export function planFaults({ seed, duration, lease, replicas }: FaultPlanOptions): Fault[] {
  const kinds = kindsOf(seed, FAULT_KINDS.filter((kind) => replicas > 1 || !FAULTS[kind].replicated));
  const interval = INTERVAL[0] + (INTERVAL[1] - INTERVAL[0]) * random(seed, 2, 78);
  const faults: Fault[] = [];
  for (let at = QUIET_START, number = 0;; number++) {
    const draw = (what: number) => random(seed, number, what, 77);
    at += interval * (0.3 + 1.4 * draw(1));
    if (at > duration) return faults;
    const kind = drawKind(kinds, draw(2));
    const { lasts: [least, most], mayOutlastLease } = FAULTS[kind];
    const long = mayOutlastLease && draw(3) < 0.06;
    const lasts = Math.round(long ? lease * 1.3 : least + (most - least) * draw(4));
    faults.push({ at: Math.round(at), kind, target: draw(5), lasts, way: draw(6) });
  }
}

/** The kinds that a seed draws from: one in three, and one at least; every eighth seed draws from all. */
function kindsOf(seed: number, possible: FaultKind[]): FaultKind[] {
  if (seed % 8 === 0) return possible;
  const one = Math.floor(random(seed, 1, 78) * possible.length);
  return possible.filter((_, i) => i === one || random(seed, i, 79) < 1 / 3);
}

function drawKind(kinds: FaultKind[], share: number): FaultKind {
  let left = share * kinds.reduce((sum, kind) => sum + FAULTS[kind].weight, 0);
  return kinds.find((kind) => (left -= FAULTS[kind].weight) < 0) ?? kinds[0];
}
