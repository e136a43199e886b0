import type { JobMessage } from "../format/job_message.ts";

/** Schedules of one queue of which a tick runs in this process, whichever handles and workers there are: none runs twice at the same time here. */
export class RunningTicks {
  readonly #tokens: Set<string> = new Set();

  /** Whether there are any. */
  get any(): boolean {
    return this.#tokens.size > 0;
  }

  /** Whether this is a tick of a schedule that runs. */
  blocks({ tick, token }: TickMessage): boolean {
    return tick && this.#tokens.has(token);
  }

  /** A run begins. */
  start({ tick, token }: TickMessage): void {
    if (tick) this.#tokens.add(token);
  }

  /** A run has ended. */
  end({ tick, token }: TickMessage): void {
    if (tick) this.#tokens.delete(token);
  }
}

type TickMessage = Pick<JobMessage, "tick" | "token">;
