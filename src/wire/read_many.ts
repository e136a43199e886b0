import { Unavailable } from "../connection/unavailable.ts";
import { directBatch } from "./direct_get.ts";
import type { Session } from "./session.ts";
import type { StoredMessage } from "./stored_message.ts";
import type { StreamReader } from "./stream_reader.ts";

/** Subjects of one batched direct get: the server gives up at more than 1024 messages. */
const BATCH = 1_000;

/** Single reads that are under way at once where there are no batched ones. */
const IN_FLIGHT = 256;

/** The newest message of each of the subjects that has one, in no order. */
export async function readMany(
  session: Session,
  reader: StreamReader,
  stream: string,
  subjects: string[],
  deadline: number,
): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  if (session.server.atLeast("2.11") && reader.direct) {
    try {
      for (const batch of batches(subjects, session.maxPayload)) {
        found.push(...await readBatch(session, stream, batch, deadline));
      }
      return found;
    } catch (error) {
      if (!(error instanceof Unavailable && error.reason === "no_responders")) throw error;
      // No stream, or one without direct gets: single reads know what to do.
      found.length = 0;
    }
  }
  for (let i = 0; i < subjects.length; i += IN_FLIGHT) {
    const reads = subjects.slice(i, i + IN_FLIGHT).map((subject) => reader.last(session, subject, deadline));
    for (const message of await Promise.all(reads)) if (message !== null) found.push(message);
  }
  return found;
}

async function readBatch(
  session: Session,
  stream: string,
  subjects: string[],
  deadline: number,
): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  let rest: Record<string, number> = {};
  for (;;) {
    const query = { multi_last: subjects, batch: subjects.length, ...rest };
    const { pending, upTo } = await directBatch(session, stream, query, deadline, (message) => found.push(message));
    if (pending === 0 || upTo === undefined) return found;
    // The server sends a limited number of bytes at a time.
    rest = { seq: found[found.length - 1].sequence + 1, up_to_seq: upTo };
  }
}

/** Cuts the subjects into requests that the server takes. */
function* batches(subjects: string[], maxPayload: number): Generator<string[]> {
  // What surrounds the subjects in the request has less than 200 bytes, each subject has quotes and a comma.
  const room = maxPayload - 200;
  let batch: string[] = [];
  let size = 0;
  for (const subject of subjects) {
    if (batch.length === BATCH || (batch.length > 0 && size + subject.length + 3 > room)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(subject);
    size += subject.length + 3;
  }
  if (batch.length > 0) yield batch;
}
