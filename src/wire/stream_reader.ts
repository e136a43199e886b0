import { Unavailable } from "../connection/unavailable.ts";
import { directGet, type DirectQuery, leaderGet } from "./direct_get.ts";
import { firstTry } from "./insist.ts";
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
    return this.get(session, { last_by_subj: subject }, deadline);
  }

  /** The message of a query. */
  get(session: Session, query: DirectQuery, deadline: number): Promise<StoredMessage | null> {
    if (!this.#direct) return this.#fromLeader(session, query, deadline);
    return directGet(
      session,
      this.#stream,
      query,
      firstTry(deadline),
      (error) => this.#unanswered(error, session, query, deadline),
    );
  }

  /** Whether the stream is there; finds out, too, whether it allows direct gets. */
  async look(session: Session, deadline: number): Promise<boolean> {
    const info = await streamInfo(session, this.#stream, deadline);
    if (info) this.#direct = info.config.allow_direct === true;
    return info !== null;
  }

  /**
   * After a direct get that was not answered in time, which is sent again; or that nobody serves: there is no such stream, it does not allow them, or
   * (then the error stands) it has no leader now.
   */
  async #unanswered(
    error: unknown,
    session: Session,
    query: DirectQuery,
    deadline: number,
  ): Promise<StoredMessage | null> {
    if (!(error instanceof Unavailable)) throw error;
    if (error.reason === "timeout" && performance.now() < deadline) return await this.get(session, query, deadline);
    if (error.reason !== "no_responders") throw error;
    if (!await this.look(session, deadline)) return null;
    if (this.#direct) throw error;
    return await this.#fromLeader(session, query, deadline);
  }

  async #fromLeader(session: Session, query: DirectQuery, deadline: number): Promise<StoredMessage | null> {
    try {
      return await leaderGet(session, this.#stream, query, deadline);
    } catch (error) {
      if (error instanceof Unavailable || await this.look(session, deadline)) throw error;
      return null;
    }
  }
}
