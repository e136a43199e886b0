import type { Msg } from "@nats-io/nats-core";
import { Unavailable } from "../../connection/unavailable.ts";
import type { Session } from "../../wire/session.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { HeldJobs } from "../delivery/held_jobs.ts";
import { type KnownQuestion, MAX_ASKED, type MessageState, readAnswer, readQuestion } from "./_known_messages.ts";
import { LimitedLog } from "../../connection/limited_log.ts";
import { inLine, messageOf } from "../../shown.ts";

/** Milliseconds within which workers answer. */
const ANSWER_TIMEOUT_MS = 1_000;

/**
 * Milliseconds for which the number of workers is known that have answered a question to its end; and for which they are counted before that: after an
 * outage they come back one after the other.
 */
const WORKERS_KNOWN_MS = 10_000;

/** Messages whose questions are remembered while they are being answered: whoever floods the subject must not fill the memory. */
const MAX_OPEN = 4_096;

/** A firing to ask for. */
interface AskedFiring extends Pick<PromiseWithResolvers<boolean>, "resolve" | "reject"> {
  readonly session: Session;
  readonly asked: KnownQuestion[number];
}

/** What workers have answered. */
interface Answered {
  isKnown: boolean[];
  answers: number;
  /** Whether further workers were waited for until the time was over. */
  isOver: boolean;
}

/** Asks all workers of a queue for the state of messages, and answers for this worker. */
export class MessageSurvey {
  readonly #queue: QueueContext;
  readonly #held: HeldJobs;
  readonly #log: LimitedLog;
  /** The questions about firings that followed one another: over which session, since when, when the last one was, and the workers that were counted. */
  #series = { session: null as Session | null, since: -Infinity, last: -Infinity, workers: 0, countedAt: -Infinity };

  /** Firings to ask for when the open question about firings is answered. */
  readonly #firings: AskedFiring[] = [];
  #isAsking = false;
  /** When a worker last asked for a message, by sequence, the oldest first. */
  readonly #open: Map<number, number> = new Map();

  constructor(queue: QueueContext, held: HeldJobs) {
    this.#queue = queue;
    this.#held = held;
    this.#log = new LimitedLog(queue.context.logger);
  }

  /**
   * Which of them a worker has or has ended. This one is asked, too: at least one answer must arrive. What another worker is asking for at the moment counts
   * as known, as that one settles it: if all of a fleet asked all, the messages would be as many as the square of its workers.
   */
  async ask(session: Session, question: KnownQuestion): Promise<boolean[]> {
    const since = performance.now() - ANSWER_TIMEOUT_MS;
    const isOpen = question.map(([sequence]) => (this.#open.get(sequence) ?? -Infinity) > since);
    const asked = question.filter((_, i) => !isOpen[i]);
    const isKnown = asked.length > 0 ? (await this.#ask(session, asked, Infinity)).isKnown : [];
    return isOpen.map((open) => open || isKnown.shift()!);
  }

  /** Whether a worker has ended a firing, or has a message of it that is older than this one. What comes while it asks is asked for together. */
  isFiringKnown(session: Session, firing: string, before: number): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#firings.push({ session, asked: [0, 0, firing, before], resolve, reject });
    if (!this.#isAsking) this.#askForFirings();
    return promise;
  }

  async #askForFirings(): Promise<void> {
    this.#isAsking = true;
    while (this.#firings.length > 0) {
      const { session } = this.#firings[0];
      const others = this.#firings.findIndex((firing) => firing.session !== session);
      const some = this.#firings.splice(0, Math.min(others < 0 ? MAX_ASKED : others, MAX_ASKED));
      try {
        const isKnown = await this.#askForSome(session, some.map(({ asked }) => asked));
        for (const [i, { resolve }] of some.entries()) resolve(isKnown[i]);
      } catch (error) {
        for (const { reject } of some) reject(error);
      }
    }
    this.#isAsking = false;
  }

  /** Where many firings come late, as after an outage, not each of them can wait for workers that may come: so the workers are counted. */
  async #askForSome(session: Session, question: KnownQuestion): Promise<boolean[]> {
    const now = performance.now();
    const isNext = session === this.#series.session && now - this.#series.last < WORKERS_KNOWN_MS;
    const series = isNext ? this.#series : { session, since: now, last: now, workers: 0, countedAt: -Infinity };
    this.#series = series;
    series.last = now;
    const isCounted = series.countedAt - series.since >= WORKERS_KNOWN_MS && now - series.countedAt < WORKERS_KNOWN_MS;
    const { isKnown, answers, isOver } = await this.#ask(session, question, isCounted ? series.workers : Infinity);
    if (isOver) Object.assign(series, { workers: answers, countedAt: performance.now() });
    return isKnown;
  }

  /**
   * @param expected Answers after which no further ones are waited for.
   * @returns Also whether the question was asked to its end.
   */
  async #ask(session: Session, question: KnownQuestion, expected: number): Promise<Answered> {
    let answers = 0;
    const isKnown = question.map(() => false);
    const deadline = performance.now() + ANSWER_TIMEOUT_MS;
    const asked = session.requests.collect(
      this.#queue.names.known,
      JSON.stringify(question),
      deadline,
      (reply) => {
        try {
          for (const [i, state] of readAnswer(reply, question.length).entries()) isKnown[i] ||= state !== null;
          answers++;
        } catch (error) {
          this.#logMalformed(error);
        }
        return answers >= expected || isKnown.every((known) => known);
      },
    );
    try {
      await asked;
    } catch (error) {
      if (answers === 0 || !(error instanceof Unavailable && error.reason === "timeout")) throw error;
      return { isKnown, answers, isOver: true };
    }
    return { isKnown, answers, isOver: false };
  }

  /**
   * Answers for this worker. Returns the sequences of the messages whose jobs it has ended.
   *
   * @throws {TypeError | SyntaxError} If the question is malformed.
   */
  answer(session: Session, message: Msg): number[] {
    const asked = readQuestion(message);
    this.#note(asked);
    const states = asked.map((one) => this.stateOf(...one));
    session.answer(message, JSON.stringify(states));
    return asked.filter(([sequence], i) => sequence > 0 && states[i] === "ended").map(([sequence]) => sequence);
  }

  /** The state at this worker of the message of this sequence, stored at this time (milliseconds); of a delayed one, of what its firing has made. */
  stateOf(sequence: number, storedAt: number, firing?: string, before = Infinity): MessageState | null {
    const { ended } = this.#queue;
    if (ended.has(sequence, String(storedAt)) || firing !== undefined && ended.hasFiring(firing)) return "ended";
    if (this.#held.has(sequence) || ended.hasOutcome(sequence, String(storedAt))) return "held";
    return firing !== undefined && this.#held.hasFiring(firing, before) ? "held" : null;
  }

  #note(asked: KnownQuestion): void {
    const now = performance.now();
    for (const [sequence] of asked) {
      // Behind all others. A firing that is asked for has no sequence yet.
      this.#open.delete(sequence);
      if (sequence > 0) this.#open.set(sequence, now);
    }
    for (const [sequence, at] of this.#open) {
      if (this.#open.size <= MAX_OPEN && at > now - ANSWER_TIMEOUT_MS) break;
      this.#open.delete(sequence);
    }
  }

  #logMalformed(error: unknown): void {
    const what = `Dropped a malformed answer on ${this.#queue.names.known}, as will be further ones`;
    this.#log.warnNew("malformed", `${what}: ${inLine(messageOf(error))}`);
  }
}
