import { delay } from "../../delay.ts";
import { JetStreamStoreError } from "../../errors.ts";
import type { StreamConfig, StreamInfo } from "../../wire/streams.ts";
import type { QueueNames } from "../format/queue_names.ts";

/** The part of `max_bytes` that publishes leave free: for retries, and for producers that publish at the same time. */
const RESERVED_SHARE = 1 / 5;

/** One process publishes at most this part of the free bytes before it looks at the stream again: so a hundred of them together stay within the reserve. */
const UNCHECKED_SHARE = 1 / 512;

/** Milliseconds between two looks while publishes of this process are under way, which may or may not be counted yet. */
const LOOK_AGAIN_MS = { first: 10, last: 160 };

/** What the server stores of a message beyond its subject, headers and data, and the headers of the guard, at most. */
const MESSAGE_OVERHEAD_BYTES = 400;

/**
 * Keeps a limit of the queue's stream from removing jobs. Streams with schedules can only discard old messages when they are full, which would be jobs
 * that are confirmed. So `max_bytes` is watched from here, and with any other limit nothing is published.
 */
export class PublishRoom {
  readonly #stream: string;
  /** The limit that would remove jobs, and cannot be watched. */
  #limit: string | null = null;
  /** Bytes that publishes may fill; `Infinity` without a limit. */
  #usable = Infinity;
  /** `max_bytes` of the stream; `Infinity` without a limit. */
  #maxBytes = Infinity;
  /** Bytes that a message may have; `Infinity` without a limit. */
  #maxMessageBytes = Infinity;
  /** Bytes of the stream at the last look. */
  #bytes = 0;
  /** Bytes that may be published before the next look. */
  #permit = Infinity;
  /** Whether the limits are known, as far as the server has reported. */
  #isKnown = true;
  /** Bytes of the publishes that are under way. */
  #pending = 0;

  constructor(stream: string) {
    this.#stream = stream;
  }

  /** Whether the stream has no limit that matters. */
  get isUnlimited(): boolean {
    return this.#permit === Infinity;
  }

  /** The limits may have changed: nothing is published before the next look. */
  expire(): void {
    this.#permit = 0;
    this.#isKnown = false;
  }

  /** Takes over what a look at the stream has shown. */
  note({ config, state }: StreamInfo): void {
    const { max_bytes = -1, max_msg_size = -1, discard = "old" } = config;
    const discards = discard === "old";
    this.#isKnown = true;
    this.#limit = discards ? removingLimit(config) : maxAge(config);
    this.#bytes = state.bytes;
    this.#maxMessageBytes = max_msg_size > 0 ? max_msg_size : Infinity;
    this.#maxBytes = discards && max_bytes > 0 ? max_bytes : Infinity;
    this.#usable = this.#limit !== null ? 0 : this.#maxBytes * (1 - RESERVED_SHARE);
    this.#permit = this.#usable === Infinity
      ? Infinity
      : Math.max(0, (this.#usable - state.bytes - this.#pending) * UNCHECKED_SHARE);
  }

  /** Whether a retry may add a copy of a job with so many bytes before it removes the job: else that has to keep its place. */
  takesCopy(bytes: number): boolean {
    return bytes <= this.#maxMessageBytes && this.#isKnown && this.#limit === null &&
      this.#bytes + this.#pending + bytes + MESSAGE_OVERHEAD_BYTES <= this.#maxBytes;
  }

  /**
   * Publishes messages for which there is room.
   *
   * @param bytes Their subjects, headers and data.
   * @param look Looks at the stream, and has it noted here.
   * @throws {JetStreamStoreError} `limits`, if there is no room.
   */
  async during<R>(
    bytes: number,
    messages: number,
    look: () => Promise<unknown>,
    publish: () => Promise<R>,
  ): Promise<R> {
    const size = bytes + messages * MESSAGE_OVERHEAD_BYTES;
    for (let wait = LOOK_AGAIN_MS.first; size > this.#permit; wait = Math.min(wait * 2, LOOK_AGAIN_MS.last)) {
      await look();
      if (this.isUnlimited) break;
      if (this.#limit !== null || this.#bytes + size > this.#usable) throw this.#refusal();
      if (this.#bytes + this.#pending + size <= this.#usable) this.#permit = Math.max(this.#permit, size);
      // What is under way may be counted already: that shows when it is answered.
      else await delay(wait);
    }
    this.#permit -= size;
    this.#pending += size;
    try {
      return await publish();
    } finally {
      this.#pending -= size;
    }
  }

  #refusal(): JetStreamStoreError {
    const message = this.#limit === null
      ? `The queue is full: its stream ${this.#stream} has ${this.#bytes} bytes, and publishes may fill ${
        Math.floor(this.#usable)
      } of its ${this.#maxBytes} ('maxBytes'), as retries need room. Raise the limit, or publish when workers have made room`
      : `Nothing is published, as the stream ${this.#stream} has ${this.#limit}, by which the server would remove confirmed jobs: remove this limit`;
    return new JetStreamStoreError("limits", message);
  }
}

/**
 * Checks that the jobs of a queue fit into a new size of its stream: the server would remove the oldest of them.
 *
 * @throws {JetStreamStoreError} `limits`, if they do not.
 */
export function checkFits({ queue }: QueueNames, maxBytes: number, bytes: number): void {
  if (maxBytes < 0 || bytes <= maxBytes * (1 - RESERVED_SHARE)) return;
  throw new JetStreamStoreError(
    "limits",
    `Cannot change 'maxBytes' of queue ${queue} to ${maxBytes}, as its jobs have ${bytes} bytes, which may be four fifths of it: ` +
      "the server would remove jobs. Let workers make room first",
  );
}

/** The first limit by which the server removes old messages, other than `max_bytes`. */
function removingLimit(config: StreamConfig): string | null {
  const { max_msgs = -1, max_msgs_per_subject = -1 } = config;
  if (max_msgs > 0) return `max_msgs ${max_msgs}`;
  if (max_msgs_per_subject > 0) return `max_msgs_per_subject ${max_msgs_per_subject}`;
  return maxAge(config);
}

function maxAge({ max_age = 0 }: StreamConfig): string | null {
  return max_age > 0 ? `max_age ${max_age / 1e9} s` : null;
}
