import { Unavailable } from "../connection/unavailable.ts";
import { directGet, directLast, leaderGet } from "./direct_get.ts";
import type { Session } from "./session.ts";
import type { StoredMessage } from "./stored_message.ts";
import { streamInfo } from "./streams.ts";

/**
 * Reads single messages of one stream: by direct get, and where the stream does not allow it (`allow_direct: false`, old servers) from its
 * leader. A stream that does not exist reads as `null`.
 */
export class StreamReader {
  readonly #stream: string;
  #direct = true;

  constructor(stream: string) {
    this.#stream = stream;
  }

  /** Whether direct get works here, as far as is known. */
  get direct(): boolean {
    return this.#direct;
  }

  /** The newest message on a subject. */
  last(session: Session, subject: string, deadline: number): Promise<StoredMessage | null> {
    return this.#read(
      session,
      deadline,
      () => directLast(session, this.#stream, subject, deadline),
      { last_by_subj: subject },
    );
  }

  /** The first message of a query: `{ seq }`, or `{ seq, next_by_subj }`. */
  get(session: Session, query: Record<string, unknown>, deadline: number): Promise<StoredMessage | null> {
    return this.#read(session, deadline, () => directGet(session, this.#stream, query, deadline), query);
  }

  /** Whether the stream is there; finds out, too, whether it allows direct gets. */
  async look(session: Session, deadline: number): Promise<boolean> {
    const info = await streamInfo(session, this.#stream, deadline);
    if (info) this.#direct = info.config.allow_direct === true;
    return info !== null;
  }

  async #read(
    session: Session,
    deadline: number,
    direct: () => Promise<StoredMessage | null>,
    query: Record<string, unknown>,
  ): Promise<StoredMessage | null> {
    if (this.#direct) {
      try {
        return await direct();
      } catch (error) {
        if (!(error instanceof Unavailable && error.reason === "no_responders")) throw error;
        // Nobody serves direct gets: there is no such stream, it does not allow them, or it has no leader just now.
        if (!await this.look(session, deadline)) return null;
        if (this.#direct) throw error;
      }
    }
    return await leaderGet(session, this.#stream, query, deadline);
  }
}
