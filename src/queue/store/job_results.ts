import type { Call } from "../../wire/call.ts";
import { isNoResponders, Unavailable } from "../../connection/unavailable.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import { wholeSeconds } from "../../wire/durations.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { Once } from "../../wire/once.ts";
import { publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { openStream, type StreamConfig, streamInfo } from "../../wire/streams.ts";
import { bucketConfig } from "../../bucket/bucket_config.ts";
import type { JobMessage } from "../format/job_message.ts";
import { isCount, parseJobData } from "../format/job_data.ts";
import type { QueueNames } from "../format/queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";
import { MAX_REASON } from "../format/thrown.ts";
import { isResultsStream, MAX_RESULT_TTL_MS, notOfQueue, queueLabel } from "./stream_kinds.ts";

/** A result that is kept. */
export interface KeptResult {
  /** `undefined` if it could not be kept. */
  value: unknown;
  /** When it was stored. */
  time: Date;
}

/**
 * What a handler last reported with `job.progress()`.
 *
 * @category Jobs
 */
export interface JobProgress<R = unknown> {
  /** What it reported. */
  value: R;
  /** When that was stored. */
  at: Date;
}

/** What is known of the earlier runs of a message's job. */
export interface PastRuns {
  /** Attempts that failed. */
  attempts: number;
  /** How often it was postponed. */
  postponed: number;
  /** Starts of the present attempt without a reported end. */
  starts: number;
  /** How the job ended, where its worker was not allowed to report it. */
  end?: "completed" | "dead";
  /** Why it is dead. */
  reason?: string;
}

/** Header of a result whose value could not be kept. */
const NO_VALUE = "Job-No-Value";

/** What the handlers of a queue's jobs left: results and progress, in a KV bucket that any KV client reads. */
export class JobResults {
  readonly #names: QueueNames;
  readonly #stream: QueueStream;
  readonly #bucket: string;
  /** Whether the bucket of that name is the queue's own. */
  readonly #isOwn: Once<boolean> = new Once((call) => this.#checkOwn(call));
  readonly #open: Once<unknown> = new Once((call) => this.#openBucket(call));

  constructor(names: QueueNames, stream: QueueStream) {
    this.#names = names;
    this.#stream = stream;
    this.#bucket = names.resultsBucket;
  }

  /** Opens the bucket; looks for it again each time, as what is kept there may be needed soon. */
  async open(call: Call): Promise<void> {
    this.#open.forget();
    this.#isOwn.forget();
    await this.#open.get(call);
  }

  /** Keeps what a handler returned, as JSON, for `ttl` milliseconds; without a value, that the job is completed. */
  async storeResult(call: Call, token: string, value: string | undefined, ttl: number): Promise<void> {
    const headers: [string, string][] = [["Nats-TTL", `${wholeSeconds(Math.min(ttl, MAX_RESULT_TTL_MS))}s`]];
    if (value === undefined) headers.push([NO_VALUE, "1"]);
    await this.#store(call, `${token}.result`, value ?? "null", new HeaderBlock(headers));
  }

  /** Keeps the last progress of a job, as JSON. */
  async storeProgress(call: Call, token: string, value: string): Promise<void> {
    await this.#store(call, `${token}.progress`, value);
  }

  /** The last progress of a job, or `null` if there is none. */
  async progress(call: Call, token: string): Promise<KeptResult | null> {
    const message = await this.#load(call, `${token}.progress`);
    const value = message && parseJobData<unknown>(message.data);
    return message && value !== undefined ? { value, time: message.time } : null;
  }

  /** What a handler returned, or `null` if nothing is kept. */
  async result(call: Call, token: string): Promise<KeptResult | null> {
    const message = await this.#load(call, `${token}.result`);
    if (message === null) return null;
    if (message.header(NO_VALUE) !== undefined) return { value: undefined, time: message.time };
    const value = parseJobData<unknown>(message.data);
    // What is no JSON was not stored by a worker, and a deleted result is empty.
    return value === undefined ? null : { value, time: message.time };
  }

  /** What is known of the earlier runs of a message's job; `undefined` if nothing is. */
  async pastRuns(
    call: Call,
    { token, sequence }: Pick<JobMessage, "token" | "sequence">,
  ): Promise<PastRuns | undefined> {
    const message = await this.#load(call, `${token}.runs`);
    return message ? readPastRuns(parseJobData(message.data), sequence) : undefined;
  }

  /** Keeps what is known of the runs of a message's job. */
  async storePastRuns(
    call: Call,
    { token, sequence }: Pick<JobMessage, "token" | "sequence">,
    runs: PastRuns,
  ): Promise<void> {
    await this.#store(call, `${token}.runs`, JSON.stringify({ sequence, ...runs }));
  }

  /** From the leader: a replica that lags would show a job as completed without a result. */
  async #load(call: Call, key: string): Promise<StoredMessage | null> {
    const subject = `$KV.${this.#bucket}.${key}`;
    const message = await leaderGet(call, this.#names.resultsStream, { last_by_subj: subject });
    return message && await this.#isOwn.get(call) ? message : null;
  }

  async #store(call: Call, key: string, text: string, headers?: HeaderBlock): Promise<void> {
    try {
      await this.#open.get(call);
      // The bucket keeps the newest of each key.
      await publish(call, `$KV.${this.#bucket}.${key}`, text, headers, true);
    } catch (error) {
      this.#open.forget();
      this.#isOwn.forget();
      // The bucket was removed: the next try makes it again.
      if (isNoResponders(error)) {
        throw new Unavailable("no_leader", error.message, { cause: error });
      }
      throw error;
    }
  }

  async #openBucket(call: Call): Promise<unknown> {
    const { replicas } = await this.#stream.existing(call);
    const config = { ttl: MAX_RESULT_TTL_MS, replicas, maxBytes: this.#stream.maxBytes };
    const wanted: StreamConfig = {
      ...bucketConfig(this.#names.resultsStream, [`$KV.${this.#bucket}.>`], config),
      max_msgs_per_subject: 1,
      deny_delete: true,
      allow_msg_ttl: true,
      metadata: queueLabel(this.#names),
    };
    // Of one that an older server or another client made, results could not go before all else does.
    const adjust = ({ allow_msg_ttl }: StreamConfig) => allow_msg_ttl ? null : { allow_msg_ttl: true };
    if (!await this.#checkOwn(call)) {
      throw notOfQueue(this.#names.resultsStream, "the results", this.#names);
    }
    return await openStream(call, wanted, adjust);
  }

  /** A user's own bucket may have this name. */
  async #checkOwn(call: Call): Promise<boolean> {
    const info = await streamInfo(call, this.#names.resultsStream);
    return info === null || await isResultsStream(call, info.config, this.#names);
  }
}

/** Reads past runs, which anybody may have written; `undefined` if they are malformed, or of another message. */
function readPastRuns(value: unknown, sequence: number): PastRuns | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { sequence: of, attempts, postponed = 0, starts, end, reason } = value as Record<string, unknown>;
  if (of !== sequence || !isCount(attempts) || !isCount(postponed) || !isCount(starts)) return undefined;
  const runs = { attempts, postponed, starts };
  if (end === "completed") return { ...runs, end };
  return end === "dead" && typeof reason === "string" ? { ...runs, end, reason: reason.slice(0, MAX_REASON) } : runs;
}
