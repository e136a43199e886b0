import type { Context } from "../wire/context.ts";
import { listingStep } from "../wire/listing.ts";
import { StreamFollower } from "../wire/stream_follower.ts";
import { type KvEntry, StoredEntry } from "./kv_entry.ts";
import type { KvStream } from "./kv_stream.ts";

/** What a watch gives. */
export interface KvWatchOptions {
  /**
   * Whether deleted and purged keys are left out.
   *
   * @default {false}
   */
  ignoreDeletes?: boolean;
  /**
   * Whether it begins with the next change, not with what is there.
   *
   * @default {false}
   */
  updatesOnly?: boolean;
  /**
   * Whether it begins with all revisions that are kept, not with the newest one of each key.
   *
   * @default {false}
   */
  includeHistory?: boolean;
  /** Ends the watch, without an error. */
  signal?: AbortSignal;
}

/** Watches keys: each iteration is a watch of its own. */
export class KvWatch implements AsyncIterable<KvEntry> {
  readonly #context: Context;
  readonly #stream: KvStream;
  readonly #filter: string;
  readonly #options: KvWatchOptions;

  constructor(context: Context, stream: KvStream, filter: string, options: KvWatchOptions) {
    this.#context = context;
    this.#stream = stream;
    this.#filter = filter;
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncIterator<KvEntry, void> {
    const { updatesOnly = false, includeHistory = false } = this.#options;
    const follower = new StreamFollower(this.#context, {
      stream: this.#stream.name,
      filter: this.#filter,
      from: updatesOnly ? "new" : includeHistory ? "all" : "last",
      begun: ({ config }) => this.#stream.checkKind(config),
    });
    const entries = this.#entries(follower);
    return {
      next: () => entries.next(),
      // Also while next() waits.
      return: async () => {
        await follower.stop();
        return await entries.return();
      },
    };
  }

  async *#entries(follower: StreamFollower): AsyncGenerator<KvEntry, void> {
    const { ignoreDeletes = false, signal } = this.#options;
    // Without a connection it could not be told from a watch of nothing.
    await listingStep(this.#context, this.#stream.what, () => Promise.resolve());
    const stop = () => void follower.stop();
    if (signal?.aborted) return;
    signal?.addEventListener("abort", stop, { once: true });
    try {
      for await (const message of follower) {
        const entry = new StoredEntry(this.#stream.keyOf(message.subject), message);
        if (!ignoreDeletes || entry.operation === "put") yield entry;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }
}
