import { type Call, callWithin } from "../../wire/call.ts";
import type { Msg } from "@nats-io/nats-core";
import { MAX_TIMER } from "../../checks.ts";
import { delay } from "../../delay.ts";
import { LimitedLog } from "../../connection/limited_log.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { api } from "../../wire/api.ts";
import { leaderGet, leaderPage } from "../../wire/leader_get.ts";
import type { Session } from "../../wire/session.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { isReplacement } from "../format/queue_names.ts";
import { readJobInfo } from "../store/find_job.ts";
import { parseJobHeaders } from "../format/job_headers.ts";
import { MAX_ASKED } from "./_known_messages.ts";
import { firingOfMessage, LateJobs } from "./_late_jobs.ts";
import type { MessageSurvey } from "./message_survey.ts";
import { moveJob } from "../store/move_job.ts";
import { removeReplaced } from "../store/newer_messages.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { ConsumerInfo } from "../store/durable_consumer.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds from one look to the next at least, however short the lease. */
const MIN_INTERVAL_MS = 1_000;

/** With more idle workers each looks less often, so that all of them together cost about as much; and by how much less often at most. */
const FEW_WORKERS = 20;
const MAX_FACTOR = 10;

/** Milliseconds from the start of a session to the first look: workers remember what they have just ended. */
const FIRST_LOOK_MS = 500;

/**
 * Puts back jobs whose messages belong to no consumer: they are stored, but at or below the ack floor of their durable consumer, so the server takes them for
 * acknowledged and delivers them no more. There are two kinds. A purge by an exact subject, by any client, moves the floor past jobs that have
 * not run. And a server that is stopped can note and confirm an acknowledgement, and keep the message: its job is done, but its id is taken.
 *
 * So all workers are asked. What one of them has is left alone. What one has ended it removes itself, as it alone can. What no worker
 * has, and was below the floor at the last look as well, more than a lease ago, is put back: a second run is better than none. It runs twice if it is of the second kind and its worker is gone; if
 * its worker is cut off just when all are asked; or if that is of another client and needs longer than a lease. What has a key has lost its place.
 *
 * With replicas the server removes by itself what is below the floor, and later than it confirms: there it is left alone.
 */
export class JobRescue {
  readonly #queue: QueueContext;
  readonly #survey: MessageSurvey;
  readonly #over: AbortSignal;
  readonly #lateJobs: LateJobs;
  /** Sequences of messages that are being removed. */
  readonly #removing: Set<number> = new Set();
  readonly #log: LimitedLog;
  /** Idle workers of the queue at the last look. */
  #waiting = 0;

  /** @param over Stops it. */
  constructor(queue: QueueContext, survey: MessageSurvey, over: AbortSignal) {
    this.#queue = queue;
    this.#survey = survey;
    this.#over = over;
    this.#log = new LimitedLog(queue.context.logger);
    this.#lateJobs = new LateJobs(queue, this.#survey);
  }

  /** Looks now and then, and answers others who do, until the session ends. */
  serve(session: Session): void {
    // A connection that is just being closed takes no subscription.
    this.#serve(session).catch((error) => this.#failed(error));
  }

  async #serve(session: Session): Promise<void> {
    const signal = AbortSignal.any([session.signal, this.#over]);
    const listening = session.subscribe(
      this.#queue.names.known,
      (message) => this.#answer(session, message),
      (error) => this.#failed(error),
    );
    let floors = new Map<string, number>();
    for (let pause = FIRST_LOOK_MS;;) {
      // At random, so that workers do not all look at once.
      await delay(Math.min(pause * (1 + Math.random()), MAX_TIMER), { signal, persistent: false });
      if (signal.aborted) break;
      try {
        const { lease, replicas } = await this.#queue.stream.existing(this.#call(session));
        const consumers = await this.#consumers(session);
        pause = Math.max(lease, MIN_INTERVAL_MS) * Math.min(Math.max(1, this.#waiting / FEW_WORKERS), MAX_FACTOR);
        await this.#serveKeys(session);
        if (replicas === 1) floors = await this.#look(session, consumers, floors);
        await this.#lateJobs.look(session, lease);
      } catch (error) {
        this.#failed(error);
      }
    }
    listening.stop();
  }

  #failed(error: unknown): void {
    this.#logOnce(`Jobs of queue ${this.#queue.names.queue} that belong to no consumer are not found`, error);
  }

  /** The partitions are made by whoever publishes a job with a key. Another client does not, and no worker would get its jobs. */
  async #serveKeys(session: Session): Promise<void> {
    const { names, stream } = this.#queue;
    const query = { seq: 1, next_by_subj: names.keyed("*", "*") };
    const stray = await leaderGet(this.#call(session), names.stream, query);
    if (stray && !isReplacement(stray.subject)) await stream.partitions.open(this.#call(session));
  }

  /** The durable consumers, and how many workers wait at them. */
  async #consumers(session: Session): Promise<ConsumerInfo[]> {
    const list = `CONSUMER.LIST.${this.#queue.names.stream}`;
    const { consumers } = await api<{ consumers: ConsumerInfo[] }>(this.#call(session), list, undefined);
    this.#waiting = Math.max(0, ...consumers.map(({ num_waiting }) => num_waiting));
    return consumers;
  }

  /** @returns The ack floors of now, by durable consumer. */
  async #look(
    session: Session,
    consumers: ConsumerInfo[],
    last: Map<string, number>,
  ): Promise<Map<string, number>> {
    const { names } = this.#queue;
    for (const { name, config, ack_floor } of consumers) {
      const floor = ack_floor.stream_seq;
      for (let seq = 1; seq <= floor;) {
        const query = { seq, next_by_subj: config.filter_subject, batch: MAX_ASKED, upTo: floor };
        const strays = await leaderPage(() => this.#call(session), names.stream, query);
        if (strays.length > 0) await this.#clear(session, strays, last.get(name) ?? 0);
        seq = strays.length < MAX_ASKED ? Infinity : strays[MAX_ASKED - 1].sequence + 1;
      }
    }
    return new Map(consumers.map(({ name, ack_floor }) => [name, ack_floor.stream_seq]));
  }

  /** @param lastFloor Up to which they have belonged to no consumer for long enough. */
  async #clear(session: Session, strays: StoredMessage[], lastFloor: number): Promise<void> {
    const isKnown = await this.#survey.ask(session, strays.map(({ sequence, time }) => [sequence, time.getTime()]));
    for (const [i, stray] of strays.entries()) {
      if (!isKnown[i] && stray.sequence <= lastFloor) await this.#putBack(session, stray);
    }
  }

  #answer(session: Session, message: Msg): void {
    for (const sequence of this.#survey.answer(session, message)) {
      this.#removeEnded(session, sequence).catch((error) => this.#failed(error));
    }
  }

  /** Removes the message of a job that this worker has ended. */
  async #removeEnded(session: Session, sequence: number): Promise<void> {
    if (this.#removing.has(sequence)) return;
    this.#removing.add(sequence);
    try {
      const stray = await leaderGet(this.#call(session), this.#queue.names.stream, { seq: sequence });
      if (!stray || this.#survey.stateOf(sequence, stray.time.getTime(), firingOfMessage(stray)) !== "ended") return;
      await this.#remove(session, stray, "had ended: its message was removed");
    } finally {
      this.#removing.delete(sequence);
    }
  }

  /** Puts a job back where it was, as a new message: a second rescuer is refused, and so is one that comes after a cancel. */
  async #putBack(session: Session, stray: StoredMessage): Promise<void> {
    const { subject, sequence, data } = stray;
    const { priority, enqueuedAt } = readJobInfo(stray, null);
    const token = subject.slice(subject.lastIndexOf(".") + 1);
    const allHeaders = parseJobHeaders(stray.headers());
    const job = { subject, token, priority, sequence, allHeaders, enqueuedAt, data };
    const { names } = this.#queue;
    try {
      // Its copy names this message only.
      await removeReplaced(this.#call(session), names, { headers: allHeaders, sequence, token });
      // It was delivered, so it may have started.
      if (!await moveJob(this.#call(session), names, job, {})) return;
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      return this.#logOnce(`${this.#describe(stray)} cannot be put back`, error);
    }
    await this.#remove(session, stray, "was put back");
  }

  async #remove(session: Session, stray: StoredMessage, why: string): Promise<void> {
    const removed = await deleteMessage(this.#call(session), this.#queue.names.stream, stray.sequence);
    if (removed) this.#queue.context.logger.warn(`${this.#describe(stray)} ${why}`);
  }

  #describe(stray: StoredMessage): string {
    const { id, sequence } = readJobInfo(stray, null);
    return `Job ${id} of queue ${this.#queue.names.queue} (message ${sequence}) belonged to no consumer, and`;
  }

  #call(session: Session): Call {
    return callWithin(session, this.#queue.context.timeout);
  }

  /** Logs once what will be the same at the next look. */
  #logOnce(what: string, error: unknown): void {
    const line = `${what}: ${messageOf(error)}`;
    if (!(error instanceof Unavailable)) this.#log.warnNew(line, line);
  }
}
