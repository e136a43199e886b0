import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "./context.ts";
import type { DeliveredMessage } from "./delivered_message.ts";
import { listingStep } from "./listing.ts";
import { OrderedConsumer, type OrderedOptions } from "./ordered_consumer.ts";
import type { Session } from "./session.ts";
import type { StoredMessage } from "./stored_message.ts";
import { StreamReader } from "./stream_reader.ts";
import { type StreamConfig, streamInfo } from "./streams.ts";

/** Subjects that are looked up at once. */
const LOOK_UP = 100;

/** What is listed of a stream. */
export interface ListOptions {
  stream: string;
  /** The subjects. */
  filter: string;
  /** What it is, for messages: `The bucket "x"`. */
  what: string;
  /** Throws if the stream is of another kind. */
  check: (config: StreamConfig) => void;
  /**
   * Whether the messages may come without their bodies.
   *
   * @default {false}
   */
  headersOnly?: boolean;
}

/**
 * The newest message of each subject, once each; none if there is no such stream. The consumer that it needs is gone at the end.
 *
 * @throws {JetStreamStoreError} `disconnected`, if the list cannot begin, or breaks off.
 */
export async function* listNewest(context: Context, options: ListOptions): AsyncGenerator<StoredMessage, void> {
  const list = await openList(context, options, "last");
  if (!list) return;
  const given = new Set<string>();
  const { total } = list.consumer;
  for await (const message of messagesOf(list.consumer, options)) {
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
  yield* listOthers(context, options, given);
}

/**
 * All messages that the stream keeps when the list begins, the oldest first; none if there is no such stream. The consumer that it needs is gone at
 * the end.
 *
 * @throws {JetStreamStoreError} `disconnected`, if the list cannot begin, or breaks off.
 */
export async function* listAll(context: Context, options: ListOptions): AsyncGenerator<StoredMessage, void> {
  const list = await openList(context, options, "all");
  if (!list) return;
  for await (const message of messagesOf(list.consumer, options)) {
    if (message === null) return;
    yield message;
    if (message.sequence >= list.present) return;
  }
}

/** A consumer, and the newest sequence of the stream before it was made; `null` if there is no such stream. */
function openList(
  context: Context,
  { stream, filter, what, check, headersOnly }: ListOptions,
  from: OrderedOptions["from"],
): Promise<{ consumer: OrderedConsumer; present: number } | null> {
  return listingStep(context, what, async (session, deadline) => {
    const info = await streamInfo(session, stream, deadline);
    if (!info) return null;
    check(info.config);
    const consumer = await OrderedConsumer.open(session, { stream, filter, from, headersOnly }, deadline);
    return { consumer, present: info.state.last_seq };
  });
}

async function* messagesOf(
  consumer: OrderedConsumer,
  { what }: ListOptions,
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
  context: Context,
  { stream, filter, what }: ListOptions,
  given: Set<string>,
): AsyncGenerator<StoredMessage, void> {
  const subjects = await listingStep(
    context,
    what,
    (session, deadline) => subjectsOf(session, stream, filter, deadline),
  );
  const others = [...new Set(subjects).difference(given)];
  const reader = new StreamReader(stream);
  for (let i = 0; i < others.length; i += LOOK_UP) {
    const some = others.slice(i, i + LOOK_UP);
    yield* await listingStep(
      context,
      what,
      (session, deadline) => reader.many(session, some, deadline),
    );
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
