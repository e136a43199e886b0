import { Unavailable } from "../connection/unavailable.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { nanoseconds, wholeSeconds } from "../wire/durations.ts";
import { HeaderBlock } from "../wire/headers.ts";
import { insist } from "../wire/insist.ts";
import { Once } from "../wire/once.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { openStream, type StreamConfig } from "../wire/streams.ts";
import type { Delivery } from "./delivery.ts";
import { parseJobData } from "./job_data.ts";
import type { QueueCall } from "./queue_call.ts";
import type { QueueNames } from "./queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";

/** A result that is kept. */
export interface KeptResult {
  value: unknown;
  /** When it was stored. */
  time: Date;
}

/** Runs of a job that stays in its place. */
export interface PastRuns {
  /** Attempts that failed. */
  attempts: number;
  /** Runs that were started since deliveries became suspiciously many. */
  starts: number;
}

/** Milliseconds that results and progress are kept at most. */
const DAY = 86_400_000;

/** What the handlers of a queue's jobs left: results and progress, in a KV bucket that any KV client reads. */
export class JobResults {
  readonly #stream: QueueStream;
  readonly #bucket: string;
  readonly #open: Once<unknown> = new Once((session, deadline) => this.#openBucket(session, deadline));

  constructor(names: QueueNames, stream: QueueStream) {
    this.#stream = stream;
    this.#bucket = names.resultsBucket;
  }

  /** Keeps what a handler returned, for `ttl` milliseconds. */
  async storeResult(call: QueueCall, token: string, value: unknown, ttl: number): Promise<void> {
    // Older servers keep it as long as the bucket keeps anything.
    const headers = call.session.server.atLeast("2.11")
      ? new HeaderBlock({ "Nats-TTL": `${wholeSeconds(Math.min(ttl, DAY))}s` })
      : undefined;
    await this.#store(call, `${token}.result`, value, headers);
  }

  /** Keeps the last progress of a job. */
  async storeProgress(call: QueueCall, token: string, value: unknown): Promise<void> {
    await this.#store(call, `${token}.progress`, value);
  }

  /** What a handler returned, or `null` if nothing is kept. */
  async result(call: QueueCall, token: string): Promise<KeptResult | null> {
    const message = await this.#load(call, `${token}.result`);
    return message === null || message.data.length === 0
      ? null
      : { value: parseJobData<unknown>(message.data), time: message.time };
  }

  /** What is known of earlier runs of a job that stays in its place; `undefined` if nothing is. */
  async pastRuns(call: QueueCall, { token, sequence }: Delivery): Promise<PastRuns | undefined> {
    const message = await this.#load(call, `${token}.runs`);
    const kept = message && parseJobData<PastRuns & { sequence: number }>(message.data);
    return kept?.sequence === sequence ? kept : undefined;
  }

  /** Keeps what is known of the runs of a job that stays in its place. */
  async storePastRuns(call: QueueCall, { token, sequence }: Delivery, runs: PastRuns): Promise<void> {
    await this.#store(call, `${token}.runs`, { sequence, ...runs });
  }

  /** From the leader: a replica that lags would tell a job as done without a result. */
  #load({ session, deadline }: QueueCall, key: string): Promise<StoredMessage | null> {
    return leaderGet(session, `KV_${this.#bucket}`, { last_by_subj: `$KV.${this.#bucket}.${key}` }, deadline);
  }

  async #store({ session, deadline }: QueueCall, key: string, value: unknown, headers?: HeaderBlock): Promise<void> {
    // What JSON cannot say is kept as null: that the handler is done is worth telling.
    const text = JSON.stringify(value) ?? "null";
    try {
      await this.#open.get(session, deadline);
      await insist(deadline, (deadline) => publish(session, `$KV.${this.#bucket}.${key}`, text, deadline, headers));
    } catch (error) {
      this.#open.forget();
      // The bucket was removed: the next try makes it again.
      if (error instanceof Unavailable && error.reason === "no_responders") {
        throw new Unavailable("no_leader", error.message, { cause: error });
      }
      throw error;
    }
  }

  async #openBucket(session: Session, deadline: number): Promise<unknown> {
    const { replicas } = await this.#stream.open(session, deadline);
    const wanted: StreamConfig = {
      name: `KV_${this.#bucket}`,
      subjects: [`$KV.${this.#bucket}.>`],
      storage: "file",
      discard: "new",
      num_replicas: replicas,
      max_msgs_per_subject: 1,
      max_age: nanoseconds(DAY),
      duplicate_window: nanoseconds(120_000),
      allow_direct: true,
      allow_rollup_hdrs: true,
      deny_delete: true,
      ...(session.server.atLeast("2.11") && { allow_msg_ttl: true }),
    };
    // Of one that an older server or another client made, results could not go before all else does.
    const adjust = ({ allow_msg_ttl }: StreamConfig) =>
      wanted.allow_msg_ttl && !allow_msg_ttl ? { allow_msg_ttl: true } : null;
    return await openStream(session, wanted, adjust, deadline);
  }
}
