import type { JetStreamStoreError } from "../errors.ts";

/** Options of {@linkcode Unavailable}. */
export interface UnavailableOptions extends ErrorOptions {
  /** What the call throws if its deadline passes without a better answer; without it the call is `null`. */
  refusal?: JetStreamStoreError;
  /** See {@linkcode Unavailable.mayArrive}. */
  mayArrive?: boolean;
}

/**
 * NATS did not answer: the connection is gone, the deadline passed, or the server is between leaders.
 *
 * It never leaves the library: {@linkcode Attempts.attempt} retries or turns it into `null`.
 */
export class Unavailable extends Error {
  /** What happened; `lost` and `no_leader` may pass within the deadline. */
  readonly reason: "lost" | "timeout" | "no_leader" | "no_responders";
  /** What the call throws if its deadline passes without a better answer. */
  readonly refusal: JetStreamStoreError | undefined;
  /** Whether the server may still read what was sent, at any time: it was silent, so that its connection was given up. */
  readonly mayArrive: boolean;

  constructor(reason: Unavailable["reason"], message: string, options: UnavailableOptions = {}) {
    super(message, options);
    this.name = "Unavailable";
    this.reason = reason;
    this.refusal = options.refusal;
    this.mayArrive = options.mayArrive ?? false;
  }
}

/** Whether nothing answers on a subject: most often the stream behind it is gone. */
export function isNoResponders(error: unknown): error is Unavailable {
  return error instanceof Unavailable && error.reason === "no_responders";
}
