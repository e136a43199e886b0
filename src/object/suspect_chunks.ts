import type { Call } from "../wire/call.ts";
import { delay } from "../delay.ts";
import { orElsePermission } from "../wire/api.ts";
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
  #complaint = "";

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
      const named = await this.#namedBy(suspects);
      this.#took = performance.now() - since;
      for (const { nuid, unnamed, unknown } of suspects) {
        if (named === null) unknown();
        else if (!named.has(nuid)) unnamed();
      }
    }
    this.#looking = null;
  }

  /** Those of the versions that an info names; `null` if it cannot be seen now, and all where this user may not see it. */
  async #namedBy(suspects: Suspect[]): Promise<Set<string> | null> {
    const asked = new Set(suspects.map(({ nuid }) => nuid));
    const until = Math.max(...suspects.map(({ replacedBy }) => replacedBy));
    const { stream } = suspects[0];
    try {
      return await namedOf(stream, asked, until);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== this.#complaint) {
        stream.context.logger.warn(`${stream.what} keeps chunks of replaced objects: ${reason}`);
      }
      this.#complaint = reason;
      return asked;
    }
  }
}

/** Reads all infos up to a sequence, and beyond while there are more. */
async function namedOf(stream: ObjectStream, asked: Set<string>, until: number): Promise<Set<string> | null> {
  const { connection, timeout } = stream.context;
  const named = new Set<string>();
  for (let seq = 1, sure = false;;) {
    const pageOf = (call: Call) => stream.reader.page(call, { seq, next_by_subj: stream.records, batch: PAGE }, sure);
    const asking = connection.attempt(pageOf, { timeout, persist: true });
    // Who may not use direct gets may ask the leader.
    const page = sure ? await asking : await orElsePermission(undefined, asking);
    if (page === null) return null;
    if (page === undefined) sure = true;
    // A replica that lags behind does not have the newest ones.
    else if (page.length === 0 && (sure || seq > until)) return named;
    else if (page.length === 0) sure = true;
    else {
      for (const message of page) {
        const nuid = namedVersion(message);
        if (nuid !== undefined && asked.has(nuid)) named.add(nuid);
      }
      seq = page[page.length - 1].sequence + 1;
    }
  }
}
