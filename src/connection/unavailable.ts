/**
 * NATS did not answer: the connection is gone, the deadline passed, or the server is between leaders.
 *
 * It never leaves the library: {@linkcode Connection.attempt} tries again or turns it into `null`.
 */
export class Unavailable extends Error {
  /** What happened; `lost` and `no_leader` may pass within the deadline. */
  readonly reason: "lost" | "timeout" | "no_leader" | "no_responders";

  constructor(reason: Unavailable["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "Unavailable";
    this.reason = reason;
  }
}
