import { Unavailable } from "../connection/unavailable.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { nanoseconds, wholeSeconds } from "../wire/durations.ts";
import { HeaderBlock } from "../wire/headers.ts";
import { insist } from "../wire/insist.ts";
import { Once } from "../wire/once.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { openStream, type StreamConfig, streamInfo } from "../wire/streams.ts";
import type { Delivery } from "./delivery.ts";
import { parseJobData } from "./job_data.ts";
import type { QueueCall } from "./queue_call.ts";
import type { QueueNames } from "./queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";
import { isResultsStream, MAX_RESULT_TTL, notOfQueue, queueLabel } from "./stream_kinds.ts";

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

/** What the handlers of a queue's jobs left: results and progress, in a KV bucket that any KV client reads. */
export class JobResults {
  readonly #names: QueueNames;
  readonly #stream: QueueStream;
  readonly #bucket: string;
  /** Whether the bucket of that name is the queue's own. */
  readonly #isOwn: Once<boolean> = new Once((session, deadline) => this.#checkOwn(session, deadline));
  readonly #open: Once<unknown> = new Once((session, deadline) => this.#openBucket(session, deadline));

  constructor(names: QueueNames, stream: QueueStream) {
    this.#names = names;
    this.#stream = stream;
    this.#bucket = names.resultsBucket;
  }

  /** Keeps what a handler returned, for `ttl` milliseconds. */
  async storeResult(call: QueueCall, token: string, value: unknown, ttl: number): Promise<void> {
    // Older servers keep it as long as the bucket keeps anything.
    const headers = call.session.server.atLeast("2.11")
      ? new HeaderBlock({ "Nats-TTL": `${wholeSeconds(Math.min(ttl, MAX_RESULT_TTL))}s` })
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
    const value = message ? parseJobData<unknown>(message.data) : undefined;
    // What is no JSON was not stored by a worker, and a deleted result is empty.
    return message === null || value === undefined ? null : { value, time: message.time };
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
  async #load({ session, deadline }: QueueCall, key: string): Promise<StoredMessage | null> {
    const subject = `$KV.${this.#bucket}.${key}`;
    const message = await leaderGet(session, this.#names.resultsStream, { last_by_subj: subject }, deadline);
    return message && await this.#isOwn.get(session, deadline) ? message : null;
  }

  async #store({ session, deadline }: QueueCall, key: string, value: unknown, headers?: HeaderBlock): Promise<void> {
    // What JSON cannot say is kept as null: that the handler is done is worth telling.
    const text = JSON.stringify(value) ?? "null";
    try {
      await this.#open.get(session, deadline);
      await insist(deadline, (deadline) => publish(session, `$KV.${this.#bucket}.${key}`, text, deadline, headers));
    } catch (error) {
      this.#open.forget();
      this.#isOwn.forget();
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
      name: this.#names.resultsStream,
      subjects: [`$KV.${this.#bucket}.>`],
      storage: "file",
      discard: "new",
      num_replicas: replicas,
      max_msgs_per_subject: 1,
      max_age: nanoseconds(MAX_RESULT_TTL),
      max_bytes: this.#stream.maxBytes,
      duplicate_window: nanoseconds(120_000),
      allow_direct: true,
      allow_rollup_hdrs: true,
      deny_delete: true,
      ...(session.server.atLeast("2.11") && { allow_msg_ttl: true }),
      metadata: queueLabel(this.#names),
    };
    // Of one that an older server or another client made, results could not go before all else does.
    const adjust = ({ allow_msg_ttl }: StreamConfig) =>
      wanted.allow_msg_ttl && !allow_msg_ttl ? { allow_msg_ttl: true } : null;
    if (!await this.#checkOwn(session, deadline)) {
      throw notOfQueue(this.#names.resultsStream, "the results", this.#names);
    }
    return await openStream(session, wanted, adjust, deadline);
  }

  /** A user's own bucket may have this name. */
  async #checkOwn(session: Session, deadline: number): Promise<boolean> {
    const info = await streamInfo(session, this.#names.resultsStream, deadline);
    return info === null || await isResultsStream(session, info.config, this.#names, deadline);
  }
}
