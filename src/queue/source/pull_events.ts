import type { Msg } from "@nats-io/nats-core";

/** What becomes of a durable consumer's pulls. */
export interface PullEvents {
  /** A job was handed out: as soon as it came (`waited`), or for a fetch; `at` is `performance.now()`. */
  deliver(message: Msg, waited: boolean, at: number): void;
  /** A pull that waited was served, or renewed by the server: there may be more. */
  ready(): void;
  /** A pull that waited has come to its end. */
  expired(): void;
  /** The server has shown that it serves. */
  served(): void;
  /** A pull that waits hears nothing: its consumer has moved, or has no place for it. */
  silent(reason: string): void;
  /** The consumer does not serve: it is gone, or its leader changes, or it went silent. */
  broken(reason: string): void;
}
