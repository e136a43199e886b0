import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { BucketStream } from "./bucket_stream.ts";
import { messagePages } from "../wire/message_pages.ts";
import { OrderedConsumer } from "../wire/follow/ordered_consumer.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { streamInfo } from "../wire/streams.ts";
import { matchesSubject } from "../wire/tokens.ts";

/** Subjects that are looked up at once. */
const MAX_LOOK_UPS = 100;

/** Messages of one subject that are read at once. */
const PAGE_MESSAGES = 64;

/**
 * The newest message of each subject, each once and as `read` makes it; what that makes `null` is left out, and nothing comes if there is no such
 * bucket. Each iteration is a list of its own, and its consumer is gone at the end. It throws a `JetStreamStoreError` (`disconnected`) if it
 * cannot begin, or breaks off.
 *
 * @param headersOnly Whether the messages may come without their bodies.
 */
export function listNewest<T>(
  stream: BucketStream,
  filter: string,
  read: (message: StoredMessage) => T | null,
  headersOnly: boolean = false,
): AsyncIterable<T> {
  async function* list(): AsyncGenerator<T, void> {
    for await (const message of newestMessages(stream, filter, headersOnly)) {
      const value = read(message);
      if (value !== null) yield value;
    }
  }
  return { [Symbol.asyncIterator]: list };
}

/** All messages of one subject, the oldest first; else as {@linkcode listNewest}, but without a consumer: they are few. */
export function listAll<T>(
  stream: BucketStream,
  subject: string,
  read: (message: StoredMessage) => T,
): AsyncIterable<T> {
  async function* list(): AsyncGenerator<T, void> {
    const info = await stream.listingStep((call) => stream.info(call));
    if (!info) return;
    const pageFrom = async (seq: number) => {
      const query = { seq, next_by_subj: stream.stored(subject), batch: PAGE_MESSAGES };
      const pageOf = (fromLeader?: boolean) =>
        stream.listingStep((call) => stream.reader.page(call, query, fromLeader));
      const page = await pageOf();
      // A replica that lags behind has no more yet.
      return page.length === 0 && seq <= stream.known.newest(query.next_by_subj) ? await pageOf(true) : page;
    };
    for await (const page of messagePages(pageFrom, 1, info.state.last_seq)) yield* page.map(read);
  }
  return { [Symbol.asyncIterator]: list };
}

async function* newestMessages(
  stream: BucketStream,
  filter: string,
  headersOnly: boolean,
): AsyncGenerator<StoredMessage, void> {
  const list = await openList(stream, filter, headersOnly);
  if (!list) return;
  const { consumer, stored, present } = list;
  const given = new Set<string>();
  let last = 0;
  try {
    for await (const message of consumer) {
      // What is newer may be of a subject that was not there when the others were counted.
      if (message === null || message.sequence > present) break;
      last = message.sequence;
      if (!given.has(message.subject)) {
        given.add(message.subject);
        const newest = await newestKnown(stream, message);
        if (newest) yield newest;
      }
      if (given.size === consumer.total) break;
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new JetStreamStoreError("disconnected", `${stream.what} could not be listed completely: ${error.message}`, {
      cause: error,
    });
  } finally {
    await consumer.close();
  }
  // A subject that was written again before its turn came has moved to the end, which in a busy stream is never reached, or is not counted any
  // more: it is looked up.
  if (given.size < consumer.total) yield* otherMessages(stream, await subjectsOf(stream, stored), given);
  // What this process wrote or read, and the replica of the consumer did not have yet.
  const known = Array.from(stream.known.newerThan(last)).filter((subject) => matchesSubject(stored, subject));
  yield* otherMessages(stream, known, given);
}

/** A consumer of the newest message of each subject; `null` without a stream. */
function openList(stream: BucketStream, filter: string, headersOnly: boolean) {
  return stream.listingStep(async (call) => {
    const info = await stream.info(call);
    if (!info) return null;
    const stored = stream.stored(filter);
    const options = { stream: stream.name, filter: stored, from: "last" as const, headersOnly };
    const consumer = await OrderedConsumer.open(call, options);
    if (info.config.max_msgs_per_subject === 1) consumer.keepsNoHistory();
    return { consumer, stored, present: info.state.last_seq };
  });
}

/** A message, or the newer one that this process has seen. */
async function newestKnown(stream: BucketStream, message: StoredMessage): Promise<StoredMessage | null> {
  const { subject, sequence } = message;
  if (sequence >= stream.known.remembered(subject)) return message;
  return await stream.listingStep((call) => stream.reader.last(call, subject));
}

/** The newest messages of the subjects that are not given yet, which they are then. */
async function* otherMessages(
  stream: BucketStream,
  subjects: string[],
  given: Set<string>,
): AsyncGenerator<StoredMessage, void> {
  const others = [...new Set(subjects).difference(given)];
  for (const subject of others) given.add(subject);
  for (let i = 0; i < others.length; i += MAX_LOOK_UPS) {
    const some = others.slice(i, i + MAX_LOOK_UPS);
    yield* await stream.listingStep((call) => stream.reader.many(call, some));
  }
}

/** The subjects of a stream that match a filter. */
async function subjectsOf(stream: BucketStream, filter: string): Promise<string[]> {
  const subjects: string[] = [];
  for (;;) {
    // The server gives a limited number at a time.
    const query = { subjects_filter: filter, offset: subjects.length };
    const info = await stream.listingStep((call) => streamInfo(call, stream.name, query));
    const page = Object.keys(info?.state.subjects ?? {});
    if (page.length === 0) return subjects;
    subjects.push(...page);
  }
}
