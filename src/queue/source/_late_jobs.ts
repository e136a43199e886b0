import { nuid } from "@nats-io/nats-core";
import { type Call, callWithin } from "../../wire/call.ts";
import { ErrorCode, orElse } from "../../wire/api.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { leaderGet, leaderPage } from "../../wire/leader_get.ts";
import { publish } from "../../wire/publish.ts";
import type { Session } from "../../wire/session.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { StreamReader } from "../../wire/stream_reader.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { findJobMessage, isMessageOf } from "../store/find_job.ts";
import { isAbandoned, removeMessage } from "../store/job_turn.ts";
import { firingOf, type HeaderList, parseJobHeaders } from "../format/job_headers.ts";
import { type KnownQuestion, MAX_ASKED } from "./_known_messages.ts";
import { guardHeaders } from "../format/guard_headers.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { idOf, tokenOf } from "../format/queue_names.ts";

/** Delayed jobs that one look reads: the next look continues behind them, so that its cost does not grow with their number. */
const PAGE_MESSAGES = 64;

/** Milliseconds after which a delayed job that has not become ready counts as late, however short the lease. */
const LATE_MS = 10_000;

/** Headers of a delayed message that its copy takes along: the schedule, what is ours, and what is its publisher's. */
const COPIED = /^(Nats-Schedule|Nats-Schedule-Target|(?!Nats-).*)$/i;

/** What is stored in place of a late message. */
interface Stored {
  subject: string;
  headers: HeaderList;
  outcome: string;
}

/** Asks all workers which of some messages they have or have ended. */
export interface WorkersSurvey {
  /** `true` at the place of a message: a worker has it, or has ended it. */
  ask(session: Session, question: KnownQuestion): Promise<boolean[]>;
}

/**
 * Looks for delayed jobs whose moment has passed and which the server has not fired: after it was killed it can have the message back without the
 * schedule. Mostly that had fired. So what has a newer message is removed; what a worker has ended that worker removes; and what no worker has is
 * stored again, which sets its schedule anew: it runs, a second time if it had run and its worker is gone.
 */
export class LateJobs {
  readonly #queue: QueueContext;
  readonly #survey: WorkersSurvey;
  readonly #reader: StreamReader;
  /** Where the next look begins, at delayed jobs and at copies of changes. */
  #next = { delayed: 1, changes: 1 };
  /** Late ones of the last look at each page, by their sequences: what is late twice in a row is not just firing. */
  #late: Set<number> = new Set();

  constructor(queue: QueueContext, survey: WorkersSurvey) {
    this.#queue = queue;
    this.#survey = survey;
    this.#reader = new StreamReader(queue.names.stream);
  }

  /** Looks at a page of delayed jobs. */
  async look(session: Session, lease: number): Promise<void> {
    const { names } = this.#queue;
    const delayed = await this.#page(session, names.later("*", "*"), this.#next.delayed);
    const changes = await this.#page(session, names.replacement("*"), this.#next.changes);
    const due = session.now() - Math.max(lease, LATE_MS);
    const late = [...delayed, ...changes].filter((message) => dueTime(message) < due);
    const again = late.filter(({ sequence }) => this.#late.has(sequence)).slice(0, MAX_ASKED);
    this.#late = new Set(late.map(({ sequence }) => sequence));
    // A page with late jobs is looked at once more.
    if (late.length === again.length) this.#next = { delayed: behind(delayed), changes: behind(changes) };
    for (const copy of changes) await this.#endChange(session, copy);
    if (again.length > 0) await this.#settle(session, again);
  }

  /** From the leader, where there are others: what a killed replica has back the others do not have, also when it leads. */
  #page(session: Session, next_by_subj: string, seq: number): Promise<StoredMessage[]> {
    const query = { seq, next_by_subj, batch: PAGE_MESSAGES };
    if (session.requests.alone) return this.#reader.page(this.#call(session), query);
    return leaderPage(() => this.#call(session), this.#queue.names.stream, query);
  }

  /** Ends a change that was decided, and whose call has died: its copy may be due so late that no worker knows of the change when it gets the job. */
  async #endChange(session: Session, copy: StoredMessage): Promise<void> {
    const { names, changing } = this.#queue;
    const token = tokenOf(copy.subject);
    changing.note(token);
    const { displaces } = parseJobHeaders(copy.headers());
    const call = this.#call(session);
    if (displaces === undefined || !isAbandoned(call, copy)) return;
    if (await isMessageOf(call, names, displaces, token)) await removeMessage(call, names, displaces);
  }

  async #settle(session: Session, late: StoredMessage[]): Promise<void> {
    const { names } = this.#queue;
    const unknown: StoredMessage[] = [];
    for (const message of late) {
      const newest = await findJobMessage(this.#call(session), names, tokenOf(message.subject));
      if (newest && newest.sequence > message.sequence) await this.#remove(session, message);
      else unknown.push(message);
    }
    if (unknown.length === 0) return;
    const question = unknown.map((
      message,
    ): KnownQuestion[number] => [message.sequence, message.time.getTime(), firingOfMessage(message)]);
    const isKnown = await this.#survey.ask(session, question);
    for (const [i, message] of unknown.entries()) if (!isKnown[i]) await this.#start(session, message.sequence);
  }

  async #remove(session: Session, message: StoredMessage): Promise<void> {
    if (await deleteMessage(this.#call(session), this.#queue.names.stream, message.sequence)) {
      this.#warn(message, "has a newer message: the delayed one was removed");
    }
  }

  /** Under the guard of its own sequence: a second worker is refused, and so is one that comes after a cancel or after it has fired. */
  async #start(session: Session, sequence: number): Promise<void> {
    const { names } = this.#queue;
    // As its stream has it: a direct get adds headers of its own.
    const message = await leaderGet(this.#call(session), names.stream, { seq: sequence });
    if (!message) return;
    const { subject, headers, outcome } = firedItself(message) ?? storedAgain(message);
    const guarded = new HeaderBlock([...headers, ...guardHeaders(names, tokenOf(message.subject), sequence)]);
    const stored = publish(this.#call(session), subject, message.data, guarded);
    const { wrongLastSequence, wrongLastSequenceUnknown } = ErrorCode;
    if (await orElse(null, stored, wrongLastSequence, wrongLastSequenceUnknown)) {
      this.#warn(message, `was not started when it was due: ${outcome}`);
    }
  }

  #warn(message: StoredMessage, what: string): void {
    const { names, context } = this.#queue;
    const job = `Delayed job ${idOf(tokenOf(message.subject))} of queue ${names.queue} (message ${message.sequence})`;
    context.logger.warn(`${job} ${what}`);
  }

  #call(session: Session): Call {
    return callWithin(session, this.#queue.context.timeout);
  }
}

/** The message once more, which sets its schedule anew. */
function storedAgain(message: StoredMessage): Stored {
  const headers: HeaderList = message.headers().filter(([name]) => COPIED.test(name));
  headers.push(["Nats-Msg-Id", nuid.next()], ["Nats-Rollup", "sub"]);
  return { subject: message.subject, headers, outcome: "its schedule was set again" };
}

/**
 * What its firing would have made, if that was due already as the message was stored: then it was stored again to no effect. A server that is
 * restarted while its machine is busy may never fire any schedule of a stream again (2.12, 2.14). Both moments are of the server's clock, so none
 * starts early.
 */
function firedItself(message: StoredMessage): Stored | null {
  const target = message.header("Nats-Schedule-Target");
  if (target === undefined || message.time.getTime() < dueTime(message)) return null;
  const headers: HeaderList = message.headers().filter(([name]) => !/^Nats-/i.test(name));
  headers.push(["Nats-Scheduler", message.subject], ["Nats-Schedule-Next", "purge"]);
  return { subject: target, headers, outcome: "it is ready now" };
}

/** Where the page behind this one begins; at the first message if there is none. */
function behind(page: StoredMessage[]): number {
  return page.length === 0 ? 1 : page[page.length - 1].sequence + 1;
}

/** Which firing a delayed message is for; `undefined` for a message that is not delayed. */
export function firingOfMessage(message: StoredMessage): string | undefined {
  if (message.header("Nats-Schedule-Target") === undefined) return undefined;
  return firingOf(tokenOf(message.subject), parseJobHeaders(message.headers()));
}

/** When a delayed message is due; `Infinity` if it does not say. */
function dueTime(message: StoredMessage): number {
  const text = /^@at (.+)$/.exec(message.header("Nats-Schedule") ?? "")?.[1];
  const time = Date.parse(text ?? "");
  return Number.isNaN(time) ? Infinity : time;
}
