import type { DeliveryCalls } from "./delivery_calls.ts";

/** Milliseconds that the machine may be suspended unnoticed, however short the lease. */
const MIN_SUSPENSION_MS = 1_000;

/**
 * Notices that the machine was suspended: leases ran on, and `performance.now()` did not. The machine's clock shows that at once, and shows the same
 * when it is set. The server's time distinguishes the two, and is what leases go by; until the server has answered it is not known.
 */
export class SuspensionWatch {
  readonly #calls: DeliveryCalls;
  readonly #verified: (suspended: number) => void;
  /** By how much the machine's clock is ahead of `performance.now()`. */
  #ahead = Date.now() - performance.now();
  /** By how much the server's clock was ahead of it, at most, before what is being verified. */
  #serverAhead: number | null = null;

  /** @param verified Called with the milliseconds for which the machine was suspended: 0 if its clock was set. */
  constructor(calls: DeliveryCalls, verified: (suspended: number) => void) {
    this.#calls = calls;
    this.#verified = verified;
  }

  /** Whether that is not known now: no job is to start, and no end to be reported. */
  get inDoubt(): boolean {
    return this.#calls.doubt !== null;
  }

  /** Looks at the machine's clock. */
  look(now: number, lease: number): void {
    const ahead = Date.now() - now;
    const jump = ahead - this.#ahead;
    this.#ahead = ahead;
    if (this.inDoubt) return;
    const limit = Math.max(lease / 2, MIN_SUSPENSION_MS);
    if (jump > limit && this.#serverAhead !== null) this.#calls.doubt = this.#verify(this.#serverAhead, limit);
    else this.#serverAhead = this.#calls.serverAhead ?? this.#serverAhead;
  }

  stop(): void {
    this.#calls.stop();
  }

  async #verify(before: number, limit: number): Promise<void> {
    const after = await this.#calls.askServerAhead();
    this.#calls.doubt = null;
    // Both answers took some time.
    const suspended = after === null ? 0 : after - before;
    this.#verified(suspended > limit / 2 ? suspended : 0);
  }
}
