import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import type { DeliveredMessage } from "../wire/delivered_message.ts";
import { OrderedConsumer, type OrderedOptions } from "../wire/ordered_consumer.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { StreamReader } from "../wire/stream_reader.ts";
import { streamInfo } from "../wire/streams.ts";
import { type KvEntry, operationOf, StoredEntry } from "./kv_entry.ts";
import { readMany } from "./kv_many.ts";
import type { KvStream } from "./kv_stream.ts";

/** Subjects that are looked up at once. */
const LOOK_UP = 100;

/** Lists what the stream under a bucket keeps. Each method gives an iterable that begins anew each time it is iterated. */
export class KvLister {
  readonly #context: Context;
  readonly #stream: KvStream;

  constructor(context: Context, stream: KvStream) {
    this.#context = context;
    this.#stream = stream;
  }

  /** The keys that have a value. */
  keys(filter: string): AsyncIterable<string> {
    return iterable(() => this.#keys(filter));
  }

  /** The newest values. */
  entries(filter: string): AsyncIterable<KvEntry> {
    return iterable(() => this.#entries(filter));
  }

  /** All revisions of a subject, deletions among them. */
  history(subject: string): AsyncIterable<KvEntry> {
    return iterable(() => this.#history(subject));
  }

  async *#keys(filter: string): AsyncGenerator<string, void> {
    for await (const message of this.#newest(filter, true)) {
      if (operationOf(message) === "put") yield this.#stream.keyOf(message.subject);
    }
  }

  async *#entries(filter: string): AsyncGenerator<KvEntry, void> {
    for await (const message of this.#newest(filter, false)) {
      if (operationOf(message) === "put") yield new StoredEntry(this.#stream.keyOf(message.subject), message);
    }
  }

  async *#history(subject: string): AsyncGenerator<KvEntry, void> {
    const list = await this.#open({ filter: subject, from: "all" });
    if (!list) return;
    for await (const message of this.#messages(list.consumer)) {
      if (message === null) return;
      yield new StoredEntry(this.#stream.keyOf(subject), message);
      if (message.sequence >= list.present) return;
    }
  }

  /** The newest message of each subject, once each. */
  async *#newest(filter: string, headersOnly: boolean): AsyncGenerator<StoredMessage, void> {
    const list = await this.#open({ filter, from: "last", headersOnly });
    if (!list) return;
    const given = new Set<string>();
    let left = list.consumer.total;
    for await (const message of this.#messages(list.consumer)) {
      if (message === null) return;
      if (!given.has(message.subject)) {
        given.add(message.subject);
        yield message;
      }
      if (message.sequence > list.present) break;
      if (--left === 0) return;
    }
    // A subject that was written again before its turn came has moved to the end, which in a busy stream is never reached: it is looked up.
    yield* this.#others(filter, given);
  }

  async *#others(filter: string, given: Set<string>): AsyncGenerator<StoredMessage, void> {
    const { name } = this.#stream;
    const subjects = await this.#ask((session, deadline) => streamSubjects(session, name, filter, deadline));
    const others = [...new Set(subjects).difference(given)];
    const reader = new StreamReader(name);
    for (let i = 0; i < others.length; i += LOOK_UP) {
      const some = others.slice(i, i + LOOK_UP);
      yield* await this.#ask((session, deadline) => readMany(session, reader, name, some, deadline));
    }
  }

  /** A consumer, and the newest sequence of the stream before it was made; `null` if there is no bucket. */
  async #open(options: Omit<OrderedOptions, "stream">): Promise<{ consumer: OrderedConsumer; present: number } | null> {
    const { name } = this.#stream;
    const list = await this.#ask(async (session, deadline) => {
      const info = await streamInfo(session, name, deadline);
      if (!info) return undefined;
      this.#stream.checkKind(info.config);
      const consumer = await OrderedConsumer.open(session, { stream: name, ...options }, deadline);
      return { consumer, present: info.state.last_seq };
    });
    return list ?? null;
  }

  async *#messages(consumer: OrderedConsumer): AsyncGenerator<DeliveredMessage | null, void> {
    try {
      yield* consumer;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      throw new JetStreamStoreError("disconnected", `The list of ${this.#stream.name} broke off: ${error.message}`, {
        cause: error,
      });
    } finally {
      await consumer.close();
    }
  }

  /** A request that the list cannot do without. */
  async #ask<T>(request: (session: Session, deadline: number) => Promise<T>): Promise<T> {
    const answer = await this.#context.connection.attempt(request, { timeout: this.#context.timeout });
    if (answer !== null) return answer;
    throw new JetStreamStoreError(
      "disconnected",
      `The list of ${this.#stream.name} cannot be had: NATS is away or does not answer`,
    );
  }
}

/** The subjects of a stream that match a filter. */
async function streamSubjects(session: Session, stream: string, filter: string, deadline: number): Promise<string[]> {
  const subjects: string[] = [];
  for (;;) {
    // The server gives a limited number at a time.
    const query = { subjects_filter: filter, offset: subjects.length };
    const page = Object.keys((await streamInfo(session, stream, deadline, query))?.state.subjects ?? {});
    if (page.length === 0) return subjects;
    subjects.push(...page);
  }
}

/** Each iteration begins anew. */
function iterable<T>(begin: () => AsyncGenerator<T, void>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: begin };
}
