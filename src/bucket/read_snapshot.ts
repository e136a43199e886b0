import { delay } from "../delay.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Call } from "../wire/call.ts";
import { leaderGet } from "../wire/leader_get.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { streamInfo } from "../wire/streams.ts";
import type { BucketStream } from "./bucket_stream.ts";

/** Longest pause before a snapshot is read again that a write has torn, in milliseconds. */
const PAUSE_MS = 20;

/** Looks for missing keys that are under way at the same time. */
const MAX_KEYS_IN_FLIGHT = 64;

/**
 * The newest messages on subjects of a bucket as of one moment, by the subjects as the stream has them.
 *
 * Each request is answered by one replica as of one sequence, which its reply states. Several are of one moment if none of the subjects was written after
 * the oldest of these. That a subject has no message counts only if the leader has none either, as the server may leave out one that is just being
 * replaced.
 *
 * @throws {JetStreamStoreError} `unsupported`, if the stream does not allow direct gets.
 */
export async function readSnapshot(
  call: Call,
  stream: BucketStream,
  subjects: string[],
): Promise<Map<string, StoredMessage>> {
  for (;;) {
    const found = await trySnapshot(call, stream, subjects);
    if (found) return found;
    await delay(Math.random() * PAUSE_MS);
  }
}

/** `null`: a write came between, or a replica lags behind. */
async function trySnapshot(
  call: Call,
  stream: BucketStream,
  subjects: string[],
): Promise<Map<string, StoredMessage> | null> {
  // A replica that has less than the leader had as the call began could answer as of a moment before it.
  const least = call.session.requests.alone ? 0 : await leaderSequence(call, stream);
  const read = await stream.reader.asOf(call, subjects);
  if (read === null) {
    throw new JetStreamStoreError(
      "unsupported",
      `${stream.what} gives no snapshot: that needs a stream that allows direct gets (allow_direct)`,
    );
  }
  if (read.upTo < least) return null;
  const missing = new Set(subjects);
  const found = new Map<string, StoredMessage>();
  for (const message of read.messages) {
    if (message.sequence > read.upTo) return null;
    // Servers take a literal asterisk within a token of another client for a wildcard.
    if (!missing.delete(message.subject)) continue;
    stream.known.read(call.session, message.subject, message.sequence);
    found.set(message.subject, message);
  }
  return await areAbsent(call, stream, [...missing]) ? found : null;
}

async function leaderSequence(call: Call, stream: BucketStream): Promise<number> {
  return (await streamInfo(call, stream.name))?.state.last_seq ?? 0;
}

/** Whether the leader has no message on any of these subjects. */
async function areAbsent(call: Call, stream: BucketStream, subjects: string[]): Promise<boolean> {
  for (let i = 0; i < subjects.length; i += MAX_KEYS_IN_FLIGHT) {
    const looks = subjects.slice(i, i + MAX_KEYS_IN_FLIGHT).map((subject) =>
      leaderGet(call, stream.name, { last_by_subj: subject })
    );
    if ((await Promise.all(looks)).some((message) => message !== null)) return false;
  }
  return true;
}
