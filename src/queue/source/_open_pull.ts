import type { PullRequest } from "./_pull_limits.ts";

/** A pull that is out. */
export interface OpenPull {
  /** Jobs that may still be delivered. */
  left: number;
  /** Jobs that were delivered. */
  came: number;
  readonly waiting: boolean;
  /** Bytes of the connection's budget that it holds. */
  readonly held: number;
  /** Whether the next job had no room in it. */
  cut: boolean;
  request: PullRequest;
  readonly done: () => void;
}
