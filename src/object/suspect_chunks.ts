import { delay } from "../connection/delay.ts";
import type { Session } from "../wire/session.ts";
import { namedVersion } from "./object_meta.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Milliseconds that chunks wait at least, so that one look serves many of them. */
const PAUSE = 100;

/** How long a look rests, in times of what it took: what it costs the server stays small beside the writes. */
const REST = 10;

/** Infos that are read at once. */
const PAGE = 1_000;

/** Chunks of so many versions wait at most. */
const WAITING = 100_000;

/** A version of which the chunks can be removed if no info names it. */
export interface Suspect {
  nuid: string;
  /** Sequence of the info that replaced its own. */
  replacedBy: number;
  stream: ObjectStream;
  /** Called when no info names it. */
  unnamed: () => void;
  /** Called when nobody can tell at the moment. */
  unknown: () => void;
}

/**
 * Finds out which versions no info of a bucket names any more: another client may have stored an info that names another object's chunks, or be half-way
 * through giving an object another name. Only all infos together tell, so one look serves all that wait, and the next one waits the longer the more there
 * are.
 */
export class SuspectChunks {
  #waiting: Suspect[] = [];
  #looking: Promise<void> | null = null;
  #hurry = new AbortController();
  /** Milliseconds that the last look took. */
  #took = 0;

  /** Looks soon. */
  add(suspect: Suspect): void {
    this.#waiting.push(suspect);
    if (this.#waiting.length === WAITING) {
      suspect.stream.context.logger.warn(
        `${suspect.stream.what} keeps chunks of replaced objects: other clients write faster than one can see which are used`,
      );
    }
    if (this.#waiting.length > WAITING) this.#waiting.shift();
    this.#looking ??= this.#look();
  }

  /** Looks at once; resolves when nothing waits any more. */
  async finish(): Promise<void> {
    this.#hurry.abort();
    await this.#looking;
    this.#hurry = new AbortController();
  }

  async #look(): Promise<void> {
    while (this.#waiting.length > 0) {
      await delay(Math.max(PAUSE, REST * this.#took), { signal: this.#hurry.signal, persistent: false });
      const suspects = this.#waiting.splice(0);
      const since = performance.now();
      const named = await namedBy(suspects);
      this.#took = performance.now() - since;
      for (const { nuid, unnamed, unknown } of suspects) {
        if (named === null) unknown();
        else if (!named.has(nuid)) unnamed();
      }
    }
    this.#looking = null;
  }
}

/** Those of the versions that an info names; `null` if it cannot be seen. */
async function namedBy(suspects: Suspect[]): Promise<Set<string> | null> {
  const { stream } = suspects[0];
  const { connection, timeout, logger } = stream.context;
  const asked = new Set(suspects.map(({ nuid }) => nuid));
  const until = Math.max(...suspects.map(({ replacedBy }) => replacedBy));
  const named = new Set<string>();
  try {
    for (let seq = 1, sure = false;;) {
      const query = { seq, next_by_subj: stream.records, batch: PAGE };
      const pageOf = (session: Session, deadline: number) => stream.reader.page(session, query, deadline, sure);
      const page = await connection.attempt(pageOf, { timeout, persist: true });
      if (page === null) return null;
      // A replica that lags behind does not have the newest ones.
      if (page.length === 0 && (sure || seq > until)) return named;
      if (page.length === 0) sure = true;
      for (const message of page) {
        const nuid = namedVersion(message);
        if (nuid !== undefined && asked.has(nuid)) named.add(nuid);
        seq = message.sequence + 1;
      }
    }
  } catch (error) {
    logger.warn(`${stream.what} keeps chunks of replaced objects: ${error instanceof Error ? error.message : error}`);
    return asked;
  }
}
