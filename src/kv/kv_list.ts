import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import type { DeliveredMessage } from "../wire/delivered_message.ts";
import { OrderedConsumer, type OrderedOptions } from "../wire/ordered_consumer.ts";
import { type KvEntry, operationOf, StoredEntry } from "./kv_entry.ts";
import type { KvStream } from "./kv_stream.ts";

/**
 * The messages that a stream keeps now, each as it is when the list comes to it; none if there is no such stream.
 *
 * A subject that is written meanwhile may come a second time, with its newer message.
 *
 * @throws {JetStreamStoreError} `disconnected`, if the list cannot begin, or breaks off.
 */
async function* listMessages(context: Context, options: OrderedOptions): AsyncGenerator<DeliveredMessage, void> {
  const consumer = await openList(context, options);
  if (!consumer) return;
  try {
    for await (const message of consumer) {
      if (message === null) return;
      yield message;
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new JetStreamStoreError("disconnected", `The list of ${options.stream} broke off: ${error.message}`, {
      cause: error,
    });
  } finally {
    await consumer.close();
  }
}

async function openList(context: Context, options: OrderedOptions): Promise<OrderedConsumer | undefined> {
  const consumer = await context.connection.attempt(async (session, deadline) => {
    try {
      return await OrderedConsumer.open(session, options, deadline);
    } catch (error) {
      if (isServerError(error, ErrorCode.streamNotFound)) return undefined;
      throw error;
    }
  }, { timeout: context.timeout });
  if (consumer !== null) return consumer;
  throw new JetStreamStoreError(
    "disconnected",
    `The list of ${options.stream} cannot begin without a connection to NATS that answers`,
  );
}

/** The keys that have a value, each once. */
export function listKeys(context: Context, stream: KvStream, filter: string): AsyncIterable<string> {
  return iterable(async function* () {
    const listed = new Set<string>();
    for await (
      const message of listMessages(context, { stream: stream.name, filter, from: "last", headersOnly: true })
    ) {
      const { subject } = message;
      if (operationOf(message) !== "put" || listed.has(subject)) continue;
      listed.add(subject);
      yield stream.keyOf(subject);
    }
  });
}

/** The newest values, or all revisions with the deletions among them. */
export function listEntries(
  context: Context,
  stream: KvStream,
  filter: string,
  from: "last" | "all",
): AsyncIterable<KvEntry> {
  return iterable(async function* () {
    for await (const message of listMessages(context, { stream: stream.name, filter, from })) {
      if (from === "all" || operationOf(message) === "put") {
        yield new StoredEntry(stream.keyOf(message.subject), message);
      }
    }
  });
}

/** Each iteration begins anew. */
function iterable<T>(begin: () => AsyncGenerator<T, void>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: begin };
}
