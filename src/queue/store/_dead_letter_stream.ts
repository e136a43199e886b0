import type { Call } from "../../wire/call.ts";
import type { Context } from "../../wire/context.ts";
import { milliseconds, nanoseconds } from "../../wire/durations.ts";
import { Once } from "../../wire/once.ts";
import { openStream, type StreamConfig } from "../../wire/streams.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { DEFAULT_DEAD_LETTER_TTL_MS, type QueueOptions } from "./queue_options.ts";
import { isDeadLetterStream, notOfQueue, queueLabel } from "./stream_kinds.ts";

/** Milliseconds after which the stream's limits are looked at again before it is used. */
const LOOK_AGAIN_MS = 1_000;

/** Opens the stream of a queue's dead letters. */
export class DeadLetterStream {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #options: QueueOptions;
  readonly #once: Once<unknown>;
  #lookedAt = -Infinity;

  /** @param replicasOf Replicas of the jobs' stream: dead letters are as safe as jobs, whoever opens it. */
  constructor(
    context: Context,
    names: QueueNames,
    options: QueueOptions,
    replicasOf: (call: Call) => Promise<number>,
  ) {
    this.#context = context;
    this.#names = names;
    this.#options = options;
    this.#once = new Once(async (call) => await this.#open(call, await replicasOf(call)));
  }

  /** Opens it once, and from time to time again: a limit that is set meanwhile must not remove dead letters. */
  open(call: Call): Promise<unknown> {
    if (performance.now() - this.#lookedAt >= LOOK_AGAIN_MS) this.forget();
    return this.#once.get(call);
  }

  /** Looks again at the next use. */
  forget(): void {
    this.#once.forget();
  }

  async #open(call: Call, replicas: number): Promise<unknown> {
    const { deadLetterTtl, maxBytes } = this.#options;
    const wanted: StreamConfig = {
      name: this.#names.deadStream,
      subjects: [this.#names.deadFilter],
      retention: "limits",
      storage: "file",
      // A full stream refuses, and the job stays in the queue.
      discard: "new",
      num_replicas: replicas,
      max_msgs_per_subject: 1,
      max_age: nanoseconds(deadLetterTtl ?? DEFAULT_DEAD_LETTER_TTL_MS),
      max_bytes: maxBytes ?? this.#context.settings.maxBytes() ?? -1,
      allow_direct: true,
      metadata: queueLabel(this.#names),
    };
    this.#lookedAt = performance.now();
    return await openStream(call, wanted, (present) => this.#change(wanted, present));
  }

  #change(wanted: StreamConfig, present: StreamConfig): Partial<StreamConfig> | null {
    const { queue } = this.#names;
    const { deadLetterTtl, maxBytes } = this.#options;
    if (!isDeadLetterStream(present, this.#names)) throw notOfQueue(wanted.name, "the dead letters", this.#names);
    const change: Partial<StreamConfig> = {};
    if (deadLetterTtl !== undefined && present.max_age !== wanted.max_age) {
      this.#context.logger.info(
        `Dead letters of queue ${queue} are kept for ${deadLetterTtl} ms from now on, instead of ${
          milliseconds(present.max_age)
        } ms`,
      );
      change.max_age = wanted.max_age;
      // The server takes no window that is longer than the messages live.
      change.duplicate_window = Math.min(present.duplicate_window ?? 0, wanted.max_age!);
    }
    if (maxBytes !== undefined && present.max_bytes !== maxBytes) change.max_bytes = maxBytes;
    const { max_bytes = -1, max_msgs = -1 } = { ...present, ...change };
    if (present.discard !== "new" && (max_bytes > 0 || max_msgs > 0)) {
      this.#context.logger.info(
        `Dead letters of queue ${queue} had a limit that removed the oldest: a full stream refuses new ones from now on`,
      );
      change.discard = "new";
    }
    return Object.keys(change).length > 0 ? change : null;
  }
}
