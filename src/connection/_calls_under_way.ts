import { settledWithin } from "../delay.ts";

/** Milliseconds within which the server closes the connection after a request that it cannot accept. */
const HANGS_UP_MS = 2_000;

/** How often a call may be under way as the connection is lost before it must run alone, and before it is given up. */
const LOSSES = { alone: 2, most: 3 };

/** Counts the calls that are under way, and lets those run one by one whose requests may make the server hang up. */
export class CallsUnderWay {
  #count = 0;
  #idle: PromiseWithResolvers<void> | null = null;
  /** Settles when the last of those is done that run one by one. */
  #last: Promise<unknown> = Promise.resolve();

  /** A call has begun. */
  begin(): void {
    this.#count++;
  }

  /** A call is done. */
  end(): void {
    if (--this.#count === 0) this.#idle?.resolve();
  }

  /** Resolves when no call is under way. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return (this.#idle = Promise.withResolvers<void>()).promise;
  }

  /** Lets a call run while no other of its kind does; `false` if its turn does not come by the deadline. */
  async alone(deadline: number, work: () => Promise<unknown>): Promise<boolean> {
    const before = this.#last;
    const { promise: mine, resolve: done } = Promise.withResolvers<void>();
    this.#last = before.then(() => mine);
    try {
      if (!await settledWithin(before, deadline - performance.now())) return false;
      await work();
      return true;
    } finally {
      done();
    }
  }
}

/**
 * How often the connection was lost while a call was under way. A request that the server does not bear would else be sent again by its call over
 * each new connection, and cost all others theirs.
 */
export class Losses {
  #count = 0;

  /** The connection was lost, so long after the call was sent. */
  note(ms: number): void {
    this.#count = ms < HANGS_UP_MS ? this.#count + 1 : 0;
  }

  /** Whether the call may be the reason. */
  get suspicious(): boolean {
    return this.#count >= LOSSES.alone;
  }

  /** Whether it is taken for the reason. */
  get guilty(): boolean {
    return this.#count >= LOSSES.most;
  }
}
