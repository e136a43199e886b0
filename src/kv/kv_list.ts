import type { Context } from "../wire/context.ts";
import { listAll, listNewest, type ListOptions } from "../wire/list_messages.ts";
import { type KvEntry, operationOf, StoredEntry } from "./kv_entry.ts";
import type { KvStream } from "./kv_stream.ts";

/** Lists what a bucket keeps. Each method gives an iterable that begins anew each time it is iterated. */
export class KvLister {
  readonly #context: Context;
  readonly #stream: KvStream;

  constructor(context: Context, stream: KvStream) {
    this.#context = context;
    this.#stream = stream;
  }

  /** The keys that have a value. */
  keys(filter: string): AsyncIterable<string> {
    return { [Symbol.asyncIterator]: () => this.#keys(filter) };
  }

  /** The newest values. */
  entries(filter: string): AsyncIterable<KvEntry> {
    return { [Symbol.asyncIterator]: () => this.#entries(filter) };
  }

  /** All revisions of a subject, deletions among them. */
  history(subject: string): AsyncIterable<KvEntry> {
    return { [Symbol.asyncIterator]: () => this.#history(subject) };
  }

  async *#keys(filter: string): AsyncGenerator<string, void> {
    for await (const message of listNewest(this.#context, { ...this.#list(filter), headersOnly: true })) {
      if (operationOf(message) === "put") yield this.#stream.keyOf(message.subject);
    }
  }

  async *#entries(filter: string): AsyncGenerator<KvEntry, void> {
    for await (const message of listNewest(this.#context, this.#list(filter))) {
      if (operationOf(message) === "put") yield new StoredEntry(this.#stream.keyOf(message.subject), message);
    }
  }

  async *#history(subject: string): AsyncGenerator<KvEntry, void> {
    for await (const message of listAll(this.#context, this.#list(subject))) {
      yield new StoredEntry(this.#stream.keyOf(subject), message);
    }
  }

  #list(filter: string): ListOptions {
    const { name: stream, what } = this.#stream;
    return { stream, filter, what, check: (config) => this.#stream.checkKind(config) };
  }
}
