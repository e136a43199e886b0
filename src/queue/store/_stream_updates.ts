import { advisory } from "../../wire/jetstream_subjects.ts";
import type { Session } from "../../wire/session.ts";

/** How often each stream's configuration was changed while that was listened to, by session. */
const counts: WeakMap<Session, Map<string, { updates: number }>> = new WeakMap();

/**
 * Listens to changes of a stream's configuration, which the server announces. One subscription serves all handles of a stream, until the session ends. A
 * user who may not listen meets changes a little later.
 */
export class StreamUpdates {
  readonly #stream: string;
  #session: Session | null = null;
  #count = { updates: 0 };
  #seen = 0;

  constructor(stream: string) {
    this.#stream = stream;
  }

  /** Whether the stream may have been changed since this was last asked: it was, or there was no listener between two sessions. */
  changed(session: Session): boolean {
    const isNext = session !== this.#session && this.#session !== null;
    if (session !== this.#session) {
      this.#session = session;
      this.#count = countOf(session, this.#stream);
      this.#seen = this.#count.updates;
    }
    const changed = isNext || this.#count.updates !== this.#seen;
    this.#seen = this.#count.updates;
    return changed;
  }
}

function countOf(session: Session, stream: string): { updates: number } {
  const streams = counts.get(session) ?? new Map<string, { updates: number }>();
  counts.set(session, streams);
  const present = streams.get(stream);
  if (present) return present;
  const count = { updates: 0 };
  streams.set(stream, count);
  session.subscribe(advisory(`STREAM.UPDATED.${stream}`), () => count.updates++, () => {}, { optional: true });
  return count;
}
