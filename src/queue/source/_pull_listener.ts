import type { Msg } from "@nats-io/nats-core";

/** The durable consumer to which a listener belongs. */
export interface PullSource {
  /** Its name. */
  readonly consumer: string;
  /** Milliseconds after which the server delivers an unreported job again. */
  readonly lease: number;
}

/** Hears what becomes of a durable consumer's pull requests. */
export interface PullListener {
  /** A job was delivered: as soon as it was stored (`waited`), or for a fetch; `at` is `performance.now()`. */
  delivered(pulls: PullSource, message: Msg, waited: boolean, at: number): void;
  /** A pull that waited has ended: it was served, or (`expired`) its time is over. There may be more. */
  ended(pulls: PullSource, expired: boolean): void;
  /** The server has shown that it serves. */
  served(): void;
  /** A pull that waits gets no heartbeat: its consumer has moved, or has no place for it. */
  silent(pulls: PullSource, reason: string): void;
  /** The consumer does not serve: it is gone, its leader changes, or it does not answer. */
  broken(pulls: PullSource, reason: string): void;
}
