import type { JobReceipt } from "./job_receipt.ts";
import type { Call } from "../../wire/call.ts";
import { setImmediate } from "node:timers";
import { isNoResponders, Unavailable } from "../../connection/unavailable.ts";
import type { JetStreamStoreError } from "../../errors.ts";
import { ErrorCode, isServerError, lastSequenceOf } from "../../wire/api.ts";
import type { Context } from "../../wire/context.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { mayBeStored, publish } from "../../wire/publish.ts";
import type { Session } from "../../wire/session.ts";
import { findJobMessage } from "../store/find_job.ts";
import { type HeaderList, parseJobHeaders } from "../format/job_headers.ts";
import { guardHeaders } from "../format/guard_headers.ts";
import { checkSize, jobBytes } from "../format/job_size.ts";
import { type PreparedJob, readyJob } from "./publish_options.ts";
import { ReplacingPublisher } from "./_replacing_publisher.ts";
import type { QueueNames } from "../format/queue_names.ts";
import type { OpenQueue, QueueStream } from "../store/queue_stream.ts";

/** Jobs of one call that are sent within one turn of the event loop. */
const MAX_JOBS_SENT_TOGETHER = 64;

/**
 * The headers by which the server stores a job once, and only if there is none of its id. The first send of a generated id omits the guard, which
 * costs the server as much as the rest of the publish. A repeat carries it: the first may be stored.
 */
export function uniqueHeaders(names: QueueNames, { fresh, token, nonce }: PreparedJob, again: boolean): HeaderList {
  const headers = fresh && !again ? [] : guardHeaders(names, token, 0);
  headers.push(["Nats-Msg-Id", nonce]);
  return headers;
}

/** Publishes jobs, each under the guard of its id. */
export class JobPublisher {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #stream: QueueStream;
  readonly #replacing: ReplacingPublisher;

  constructor(context: Context, names: QueueNames, stream: QueueStream) {
    this.#context = context;
    this.#names = names;
    this.#stream = stream;
    this.#replacing = new ReplacingPublisher(context, names, stream, this);
  }

  /** Publishes one job within `timeout` milliseconds; `null` if it is not confirmed. */
  publish(job: PreparedJob, timeout: number = this.#context.timeout): Promise<JobReceipt | null> {
    if (job.replaces) return this.#replacing.publish(job, timeout);
    return this.#context.connection.attempt((call) => {
      const opened = this.#stream.opened(call.session);
      return opened && !job.keyed
        ? this.publishReady(call, readyJob(checkJob(call.session, job), opened.dedupe, call.session))
        : this.ready(call, [job]).then(([ready]) => this.publishReady(call, ready));
    }, { timeout, persist: true });
  }

  /** Publishes jobs that are ready, all at once; `null` for each that is not confirmed. */
  async publishAll(jobs: readonly PreparedJob[]): Promise<(JobReceipt | null)[]> {
    const { connection, timeout } = this.#context;
    const publish = (job: PreparedJob) =>
      job.replaces
        ? this.#replacing.publish(job, timeout)
        : connection.attempt((call) => this.publishReady(call, job), { timeout, persist: true });
    const parts: Promise<(JobReceipt | null)[]>[] = [];
    for (let start = 0; start < jobs.length; start += MAX_JOBS_SENT_TOGETHER) {
      // The server works at the first ones while the next are made ready to be sent.
      if (start > 0) await new Promise((resolve) => setImmediate(resolve));
      const part = Promise.all(jobs.slice(start, start + MAX_JOBS_SENT_TOGETHER).map(publish));
      // It is looked at when all are under way.
      part.catch(() => {});
      parts.push(part);
    }
    return (await Promise.all(parts)).flat();
  }

  /** The jobs as this queue takes them; makes the queue if it is missing. */
  async ready(call: Call, jobs: readonly PreparedJob[]): Promise<PreparedJob[]> {
    for (const job of jobs) checkJob(call.session, job);
    const opened = await this.open(call, jobs.some((job) => job.keyed));
    // None is stored if there is not room for all.
    if (jobs.length > 1 && !this.#stream.isUnlimited(call.session)) {
      const bytes = jobs.reduce((sum, job) => sum + jobBytes(job), 0);
      await this.#stream.publishWithin(call, bytes, jobs.length, () => Promise.resolve());
    }
    return jobs.map((job) => job.replaces ? job : readyJob(job, opened.dedupe, call.session));
  }

  /** Makes the queue if it is missing, with what jobs that have a key need. */
  async open(call: Call, keyed: boolean): Promise<OpenQueue> {
    const open = await this.#stream.open(call);
    if (keyed) await this.#stream.partitions.open(call);
    return open;
  }

  /**
   * Sends a job that is ready, if the queue's stream has room for it.
   *
   * @throws {JetStreamStoreError} `limits`, if it has none.
   */
  publishReady(
    call: Call,
    job: PreparedJob,
    sentBefore: boolean = mayBeStored(call, job.subject),
  ): Promise<JobReceipt> {
    // The usual way, without what only a limit needs. A repeat takes no more room.
    if (this.#stream.isUnlimited(call.session) || sentBefore) return this.send(call, job, sentBefore);
    return this.#stream.publishWithin(call, jobBytes(job), 1, () => this.send(call, job, sentBefore));
  }

  /**
   * Sends a job that is ready, again under the same message id until it is confirmed or the deadline passes.
   *
   * @param sentBefore Whether the job may be stored already, by an earlier attempt.
   */
  send(call: Call, job: PreparedJob, sentBefore: boolean = mayBeStored(call, job.subject)): Promise<JobReceipt> {
    const headers = new HeaderBlock(uniqueHeaders(this.#names, job, sentBefore), job.headers);
    const again = () => sentBefore || mayBeStored(call, job.subject);
    return publish(call, job.subject, job.payload, headers, true).then(
      // A repeat within this call finds the message that this call stored.
      (ack) => this.#receipt(job, ack.seq, ack.duplicate === true && (job.repeatable || !again())),
      (error) => this.#notStored(call, job, error, again()),
    );
  }

  /** Makes the queue again, with what the jobs need, if a publish failed because it is gone. */
  async remakeIfGone(call: Call, error: unknown, keyed: boolean): Promise<void> {
    if (!isNoResponders(error)) return;
    this.#stream.forget();
    await this.open(call, keyed);
  }

  async #notStored(
    call: Call,
    job: PreparedJob,
    error: unknown,
    again: boolean,
  ): Promise<JobReceipt> {
    if (isServerError(error, ErrorCode.wrongLastSequence)) {
      return await this.#whoseIsIt(call, job, error, again);
    }
    if (isServerError(error, ErrorCode.wrongLastSequenceUnknown)) {
      throw new Unavailable("no_leader", "Another publish of this id is in flight");
    }
    await this.remakeIfGone(call, error, job.keyed);
    throw error;
  }

  /** A job of this id is there: another's, or this very publish's, whose confirmation was lost. */
  async #whoseIsIt(
    call: Call,
    job: PreparedJob,
    error: JetStreamStoreError,
    again: boolean,
  ): Promise<JobReceipt> {
    const sequence = lastSequenceOf(error);
    if (!again && !job.repeatable) return this.#receipt(job, sequence, true);
    const found = await findJobMessage(call, this.#names, job.token);
    if (!found) throw new Unavailable("no_leader", "The job of this id has gone meanwhile", { cause: error });
    const own = parseJobHeaders(found.headers()).nonce === job.nonce;
    return this.#receipt(job, found.sequence, !own || job.repeatable);
  }

  #receipt(job: PreparedJob, sequence: number, duplicate: boolean): JobReceipt {
    return { id: job.id, queue: this.#names.queue, sequence, duplicate };
  }
}

/** Checks what depends on the server. */
function checkJob(session: Session, job: PreparedJob): PreparedJob {
  if (job.due !== undefined) session.server.require("2.12", "A job with a delay");
  checkSize(job, session.maxPayload, "publish the job");
  return job;
}
