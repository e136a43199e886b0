import type { QueueNames } from "../format/queue_names.ts";
import type { Call } from "../../wire/call.ts";
import { mayJobBeStored } from "../store/find_job.ts";
import { settledWithin } from "../../delay.ts";
import type { Context } from "../../wire/context.ts";
import type { QueueStore } from "../store/queue_context.ts";
import type { QueueStream } from "../store/queue_stream.ts";
import type { JobReceipt } from "./job_receipt.ts";
import { type PreparedJob, readyJob } from "./publish_options.ts";
import { replaceJob } from "./replace_job.ts";
import { type JobCopy, type Replacement, withdraw } from "./store_copy.ts";

/** A publish that waits for the one of its id that is under way. */
interface WaitingPublish {
  job: PreparedJob;
  /** When it is given up, by `performance.now()`. */
  until: number;
  readonly receipt: PromiseWithResolvers<JobReceipt | null>;
}

/** What publishes a job for which there is no other. */
interface ReadyPublisher {
  /** The jobs as the queue takes them; makes the queue if it is missing. */
  ready(call: Call, jobs: readonly PreparedJob[]): Promise<PreparedJob[]>;
  /** Sends a job that is ready. */
  publishReady(call: Call, job: PreparedJob, sentBefore: boolean): Promise<JobReceipt>;
}

/**
 * Publishes jobs that take the place of the one of their id. Of each id one publish is under way at a time, and of those that come meanwhile only the
 * newest is sent: it replaces the others anyway.
 */
export class ReplacingPublisher {
  readonly #context: Context;
  readonly #queue: QueueStore;
  readonly #publisher: ReadyPublisher;
  /** The ids of which a publish is under way, with the one that waits for it. */
  readonly #waiting: Map<string, WaitingPublish | null> = new Map();

  constructor(context: Context, names: QueueNames, stream: QueueStream, publisher: ReadyPublisher) {
    this.#context = context;
    this.#queue = { names, stream };
    this.#publisher = publisher;
  }

  /** Publishes a job within `timeout` milliseconds; `null` if it is not confirmed. */
  async publish(job: PreparedJob, timeout: number): Promise<JobReceipt | null> {
    const waiting = this.#waiting.get(job.token);
    if (waiting === undefined) return await this.#publishFirst(job, timeout);
    const until = performance.now() + timeout;
    const next = waiting ?? { job, until, receipt: Promise.withResolvers<JobReceipt | null>() };
    // Who does not wait for it as long does not miss its failure.
    if (!waiting) next.receipt.promise.catch(() => {});
    Object.assign(next, { job, until });
    this.#waiting.set(job.token, next);
    return await settledWithin(next.receipt.promise, timeout) ? await next.receipt.promise : null;
  }

  async #publishFirst(job: PreparedJob, timeout: number): Promise<JobReceipt | null> {
    this.#waiting.set(job.token, null);
    try {
      return await this.#attempt(job, timeout);
    } finally {
      this.#publishNext(job.token);
    }
  }

  #publishNext(token: string): void {
    const next = this.#waiting.get(token);
    this.#waiting.delete(token);
    if (!next) return;
    const { job, until, receipt } = next;
    this.#publishFirst(job, Math.max(1, until - performance.now())).then(receipt.resolve, receipt.reject);
  }

  async #attempt(job: PreparedJob, timeout: number): Promise<JobReceipt | null> {
    const replacing = new ReplacingJob(job);
    let receipt: JobReceipt | null = null;
    try {
      return receipt = await this.#context.connection.attempt(async (call) => {
        await this.#publisher.ready(call, [job]);
        return await this.#store(call, replacing);
      }, { timeout, persist: true });
    } finally {
      if (receipt === null) withdraw(this.#context, this.#queue, job.token, replacing);
    }
  }

  async #store(call: Call, replacing: ReplacingJob): Promise<JobReceipt> {
    const { id, token } = replacing.job;
    const queue = this.#queue;
    const ready = replacing.ready(call.session.now());
    for (;;) {
      const result = await replaceJob(call, queue, token, replacing);
      if (typeof result === "object") {
        return { id, queue: queue.names.queue, sequence: result.sequence, duplicate: false };
      }
      const sentBefore = mayJobBeStored(call, queue.names, token);
      const receipt = await this.#publisher.publishReady(call, ready, sentBefore);
      // Another job of this id came first, and is to be replaced.
      if (!receipt.duplicate) return receipt;
    }
  }
}

/** A job that takes the place of another one, over all attempts of its publish. */
class ReplacingJob implements Replacement {
  readonly doing = "publish the job";
  readonly behindActive = true;
  isAnnounced = false;
  readonly job: PreparedJob;
  #ready: PreparedJob | null = null;
  #due: number | undefined;

  constructor(job: PreparedJob) {
    this.job = job;
  }

  get nonce(): string {
    return this.job.nonce;
  }

  /** The job as its queue takes it. Its delay counts from the first attempt on. */
  ready(now: number): PreparedJob {
    if (this.#ready) return this.#ready;
    const { due } = this.job;
    this.#due = typeof due === "number" ? now + due : due?.getTime();
    return this.#ready = readyJob(this.job, false, { now: () => now });
  }

  copy(): JobCopy {
    const { headers, payload } = this.#ready!;
    const ready = headers.find(([name]) => name === "Nats-Schedule-Target")?.[1] ?? this.job.subject;
    const lasting = headers.filter(([name]) => !/^(Nats-.*|Job-Nonce|Job-Due)$/.test(name));
    return { ready, payload, headers: lasting, ...(this.#due !== undefined && { due: this.#due }) };
  }
}
