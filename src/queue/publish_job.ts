import { Unavailable } from "../connection/unavailable.ts";
import type { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { leaderGet } from "../wire/direct_get.ts";
import { HeaderBlock } from "../wire/headers.ts";
import { insist } from "../wire/insist.ts";
import { type PubAck, publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { type HeaderList, parseJobHeaders } from "./job_headers.ts";
import type { PreparedJob } from "./publish_options.ts";
import type { QueueNames } from "./queue_names.ts";
import type { OpenQueue, QueueStream } from "./queue_stream.ts";

/** The server's word that it keeps a job. */
export interface JobReceipt {
  /** The job's id. */
  id: string;
  /** Its queue. */
  queue: string;
  /** Sequence of its message in the queue's stream. */
  sequence: number;
  /** Whether a job of this id was there already, or this publish was a repeat: nothing was added. */
  duplicate: boolean;
}

/** What one call of publish has done so far. */
export interface PublishCall {
  tried: boolean;
}

/** The headers by which the server stores a message only if the newest one of this job's id has the given sequence (0: there is none). */
export function guardHeaders(names: QueueNames, token: string, sequence: number): HeaderList {
  return [
    ["Nats-Expected-Last-Subject-Sequence", String(sequence)],
    // Servers before 2.11 do not know this one and compare the exact subject.
    ["Nats-Expected-Last-Subject-Sequence-Subject", names.idFilter(token)],
  ];
}

/**
 * The headers by which the server stores a job only if there is none of its id. An id that the library has just made is nobody else's, and the look
 * would cost the server as much as the rest of the publish; what is sent again may meet its own first try.
 */
export function uniqueHeaders(names: QueueNames, { fresh, token }: PreparedJob, again: boolean): HeaderList {
  return fresh && !again ? [] : guardHeaders(names, token, 0);
}

/** Publishes jobs one by one, each under the guard of its id. */
export class JobPublisher {
  readonly #names: QueueNames;
  readonly #stream: QueueStream;

  constructor(names: QueueNames, stream: QueueStream) {
    this.#names = names;
    this.#stream = stream;
  }

  /**
   * Publishes one job, again under the same message id until it is confirmed or the deadline passes.
   *
   * @param call What an earlier attempt of this call, over a connection that broke, has left: it may have stored the job.
   */
  publish(
    session: Session,
    job: PreparedJob,
    deadline: number,
    call: PublishCall = { tried: false },
  ): Promise<JobReceipt> {
    return insist(deadline, (deadline) => {
      const again = call.tried;
      call.tried = true;
      return this.#send(session, job, deadline, again).then(
        // A repeat within this call finds the message that this call stored.
        (ack) => this.#receipt(job, ack.seq, ack.duplicate === true && (job.repeatable || !again)),
        (error) => this.#notStored(session, job, error, again, deadline),
      );
    });
  }

  async #notStored(
    session: Session,
    job: PreparedJob,
    error: unknown,
    again: boolean,
    deadline: number,
  ): Promise<JobReceipt> {
    if (isServerError(error, ErrorCode.wrongLastSequence)) {
      return await this.#whoseIsIt(session, job, error, again, deadline);
    }
    if (isServerError(error, ErrorCode.wrongLastSequenceUnknown)) {
      throw new Unavailable("no_leader", "Another publish of this id is in flight");
    }
    await this.remakeIfGone(session, error, job.keyed, deadline);
    throw error;
  }

  /** Makes the queue again, with what the jobs need, if a publish failed because it is gone. */
  async remakeIfGone(session: Session, error: unknown, keyed: boolean, deadline: number): Promise<void> {
    if (!(error instanceof Unavailable && error.reason === "no_responders")) return;
    this.#stream.forget();
    await this.open(session, keyed, deadline);
  }

  /** Makes the queue if it is missing, with what jobs that have a key need. */
  async open(session: Session, keyed: boolean, deadline: number): Promise<OpenQueue> {
    const open = await this.#stream.open(session, deadline);
    if (keyed) await this.#stream.openPartitions(session, deadline);
    return open;
  }

  #send(session: Session, job: PreparedJob, deadline: number, again: boolean): Promise<PubAck> {
    const headers = new HeaderBlock(job.headers, uniqueHeaders(this.#names, job, again));
    return publish(session, job.subject, job.payload, deadline, headers);
  }

  /** A job of this id is there: another's, or this very publish's, whose confirmation was lost. */
  async #whoseIsIt(
    session: Session,
    job: PreparedJob,
    error: JetStreamStoreError,
    again: boolean,
    deadline: number,
  ): Promise<JobReceipt> {
    const sequence = Number(/wrong last sequence: (\d+)/.exec(error.message)?.[1] ?? 0);
    if (!again && !job.repeatable) return this.#receipt(job, sequence, true);
    const found = await leaderGet(
      session,
      this.#names.stream,
      { last_by_subj: this.#names.idFilter(job.token) },
      deadline,
    );
    if (!found) throw new Unavailable("no_leader", "The job of this id has gone meanwhile", { cause: error });
    const own = parseJobHeaders(found.headers()).nonce === job.nonce;
    return this.#receipt(job, found.sequence, !own || job.repeatable);
  }

  #receipt(job: PreparedJob, sequence: number, duplicate: boolean): JobReceipt {
    return { id: job.id, queue: this.#names.queue, sequence, duplicate };
  }
}
