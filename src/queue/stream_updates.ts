import { advisory } from "../wire/jetstream_subjects.ts";
import type { Session } from "../wire/session.ts";

/** How often a stream's configuration was changed while this was listened to. */
export interface StreamUpdates {
  count: number;
}

/** What is listened to over a session, by stream. */
const listening: WeakMap<Session, Map<string, StreamUpdates>> = new WeakMap();

/**
 * Counts the changes of a stream's configuration, of which the server tells. One subscription serves all handles of a stream, until the session ends. A
 * user who may not listen meets changes a little later.
 */
export function streamUpdates(session: Session, stream: string): StreamUpdates {
  const streams = listening.get(session) ?? new Map<string, StreamUpdates>();
  listening.set(session, streams);
  const present = streams.get(stream);
  if (present) return present;
  const updates = { count: 0 };
  streams.set(stream, updates);
  session.subscribe(advisory(`STREAM.UPDATED.${stream}`), () => updates.count++, () => {}, { optional: true });
  return updates;
}
