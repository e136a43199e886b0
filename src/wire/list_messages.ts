import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { BucketStream } from "./bucket_stream.ts";
import type { DeliveredMessage } from "./delivered_message.ts";
import { listingStep } from "./listing.ts";
import { OrderedConsumer } from "./ordered_consumer.ts";
import type { Session } from "./session.ts";
import type { StoredMessage } from "./stored_message.ts";
import { StreamReader } from "./stream_reader.ts";
import { streamInfo } from "./streams.ts";

/** Subjects that are looked up at once. */
const LOOK_UP = 100;

/** What is listed of a bucket's stream. */
export interface ListOptions {
  /** The subjects. */
  filter: string;
  /** The newest message of each subject, once each and in no certain order; or all messages, the oldest first. */
  which: "last" | "all";
  /**
   * Whether the messages may come without their bodies.
   *
   * @default {false}
   */
  headersOnly?: boolean;
}

/**
 * What the stream of a bucket keeps when the list begins, each message as `read` makes it; what it makes `null` is left out, and nothing comes if
 * there is no such stream. Each iteration is a list of its own, and its consumer is gone at the end; it throws a `JetStreamStoreError`
 * (`disconnected`) if it cannot begin, or breaks off.
 */
export function listMessages<T>(
  stream: BucketStream,
  options: ListOptions,
  read: (message: StoredMessage) => T | null,
): AsyncIterable<T> {
  async function* list(): AsyncGenerator<T, void> {
    for await (const message of options.which === "all" ? listAll(stream, options) : listNewest(stream, options)) {
      const value = read(message);
      if (value !== null) yield value;
    }
  }
  return { [Symbol.asyncIterator]: list };
}

async function* listAll(stream: BucketStream, options: ListOptions): AsyncGenerator<StoredMessage, void> {
  const list = await openList(stream, options);
  if (!list) return;
  for await (const message of messagesOf(list.consumer, stream)) {
    if (message === null) return;
    yield message;
    if (message.sequence >= list.present) return;
  }
}

async function* listNewest(stream: BucketStream, options: ListOptions): AsyncGenerator<StoredMessage, void> {
  const list = await openList(stream, options);
  if (!list) return;
  const given = new Set<string>();
  const { total } = list.consumer;
  for await (const message of messagesOf(list.consumer, stream)) {
    if (message === null) break;
    if (!given.has(message.subject)) {
      given.add(message.subject);
      yield message;
    }
    if (given.size === total) return;
    if (message.sequence > list.present) break;
  }
  if (given.size === total) return;
  // A subject that was written again before its turn came has moved to the end, which in a busy stream is never reached, or is not counted any
  // more: it is looked up.
  yield* listOthers(stream, options.filter, given);
}

/** A consumer, and the newest sequence of the stream before it was made; `null` if there is no such stream. */
function openList(
  stream: BucketStream,
  { filter, which, headersOnly }: ListOptions,
): Promise<{ consumer: OrderedConsumer; present: number } | null> {
  return listingStep(stream.context, stream.what, async (session, deadline) => {
    const info = await stream.info(session, deadline);
    if (!info) return null;
    const options = { stream: stream.name, filter, from: which, headersOnly };
    return { consumer: await OrderedConsumer.open(session, options, deadline), present: info.state.last_seq };
  });
}

async function* messagesOf(
  consumer: OrderedConsumer,
  { what }: BucketStream,
): AsyncGenerator<DeliveredMessage | null, void> {
  try {
    yield* consumer;
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new JetStreamStoreError("disconnected", `${what} broke off as it was listed: ${error.message}`, {
      cause: error,
    });
  } finally {
    await consumer.close();
  }
}

async function* listOthers(
  { context, what, name }: BucketStream,
  filter: string,
  given: Set<string>,
): AsyncGenerator<StoredMessage, void> {
  const subjects = await listingStep(
    context,
    what,
    (session, deadline) => subjectsOf(session, name, filter, deadline),
  );
  const others = [...new Set(subjects).difference(given)];
  const reader = new StreamReader(name);
  for (let i = 0; i < others.length; i += LOOK_UP) {
    const some = others.slice(i, i + LOOK_UP);
    yield* await listingStep(context, what, (session, deadline) => reader.many(session, some, deadline));
  }
}

/** The subjects of a stream that match a filter. */
async function subjectsOf(session: Session, stream: string, filter: string, deadline: number): Promise<string[]> {
  const subjects: string[] = [];
  for (;;) {
    // The server gives a limited number at a time.
    const query = { subjects_filter: filter, offset: subjects.length };
    const page = Object.keys((await streamInfo(session, stream, deadline, query))?.state.subjects ?? {});
    if (page.length === 0) return subjects;
    subjects.push(...page);
  }
}
