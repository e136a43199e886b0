import type { Session } from "../../wire/session.ts";

/** What is under way over a session, by stream. */
const underWay: WeakMap<Session, Map<string, Promise<void>>> = new WeakMap();

/** Does something for a stream once for all handles that need it at the same time. */
export function sharedPerSession(session: Session, stream: string, work: () => Promise<void>): Promise<void> {
  const works = underWay.get(session) ?? new Map<string, Promise<void>>();
  underWay.set(session, works);
  const present = works.get(stream);
  if (present) return present;
  const begun = work().finally(() => works.delete(stream));
  works.set(stream, begun);
  return begun;
}
