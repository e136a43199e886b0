import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { retryUntil } from "../../wire/retry_until.ts";
import type { Session } from "../../wire/session.ts";
import { streamInfo } from "../../wire/streams.ts";

/**
 * Knows which stream has delivered the jobs that are held. One that was deleted and created again counts from 1, and would take a report for another
 * job's.
 */
export class StreamIdentity {
  /** The session over which the stream is known to be the one that was created at `#created`. */
  #session: Session | null = null;
  #created = "";

  /** The stream that was created then serves over this session. Returns whether it is another one than before. */
  confirm(session: Session, created: string): boolean {
    const isOther = this.#created !== "" && this.#created !== created;
    this.#session = session;
    this.#created = created;
    return isOther;
  }

  /** The stream may be another one by now. */
  doubt(): void {
    this.#session = null;
  }

  /** Whether this session is known to serve the stream that has delivered the jobs. */
  isKnown(session: Session | null): boolean {
    return session !== null && this.#session === session;
  }

  /** Whether the stream is still the same, or there is none. */
  async isSame(call: Call, names: QueueNames): Promise<boolean> {
    if (this.isKnown(call.session)) return true;
    const info = await retryUntil(call, (call) => streamInfo(call, names.stream));
    return info === null || info.created === this.#created;
  }
}
