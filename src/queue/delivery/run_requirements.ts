import { backoff } from "../../connection/backoff.ts";
import { LimitedLog } from "../../connection/limited_log.ts";
import { delay } from "../../delay.ts";
import type { Session } from "../../wire/session.ts";
import type { Delivery } from "./delivery.ts";
import { callQueue } from "../store/queue_call.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { checkDeadLetters, checkLookUps, checkMoves, checkResults } from "./_requirement_checks.ts";
import { messageOf } from "../../shown.ts";

/** What the end of a run needs of the server. */
export type Requirement = "acknowledgements" | "moves" | "dead letters" | "results" | "look-ups";

/** Milliseconds until a requirement that is refused is checked again. */
const CHECK_AGAIN_MS = { base: 500, max: 15_000 };

/** Milliseconds after which one that was met is checked again while jobs run. */
const CHECK_MET_MS = 5_000;

/** Milliseconds for which it is not logged again that jobs are started. */
const LOG_AGAIN_MS = 60_000;

/** The worker that needs them. */
export interface RequirementsListener {
  /** Jobs may be taken again, or no longer. */
  refresh(): void;
}

interface RequirementState {
  /** When it was last met in this session, by `performance.now()`. */
  metAt: number;
  /** Why it is not. */
  refusal: string | null;
  failures: number;
  /** When it is checked again, by `performance.now()`. */
  checkAt: number;
  checking: Promise<boolean | null> | null;
  /** The number of run ends that this requirement refused and that are not stored yet. While there are any, a check is not enough. */
  unstored: number;
}

/**
 * Knows whether this worker can store the ends of runs: streams, permissions and limits are checked before a handler starts. A worker that cannot
 * end a job does not start one: it takes none for a while, says why, and checks again.
 */
export class RunRequirements {
  readonly #queue: QueueContext;
  readonly #over: AbortSignal;
  readonly #listener: RequirementsListener;
  readonly #states: Map<Requirement, RequirementState> = new Map();
  #session: Session | null = null;
  /** Until when no jobs are taken, by `performance.now()`. */
  #pausedUntil = -Infinity;
  #checkingAgain = false;
  readonly #log: LimitedLog;
  /** When it was last logged that jobs are started again, by `performance.now()`. */
  #loggedAgainAt = -Infinity;
  /** The last line about what is refused. */
  #complained = "";

  /**
   * @param over Stops it.
   * @param listener Its worker.
   */
  constructor(queue: QueueContext, over: AbortSignal, listener: RequirementsListener) {
    this.#queue = queue;
    this.#over = over;
    this.#listener = listener;
    this.#log = new LimitedLog(queue.context.logger);
    over.addEventListener("abort", () => this.#log.stop(), { once: true });
  }

  /** Whether no jobs are to be taken and started now. */
  get paused(): boolean {
    // This is asked several times for each job.
    return this.#pausedUntil !== -Infinity && performance.now() < this.#pausedUntil;
  }

  /** Jobs to have at a time: one, while it is not known that it can be acknowledged. */
  get limit(): number {
    if (this.paused) return 0;
    return this.#states.get("acknowledgements")?.refusal == null ? Infinity : 1;
  }

  /** Why jobs are not started, or `null`. */
  get reason(): string | null {
    for (const [requirement, { refusal }] of this.#states) {
      if (refusal !== null) return `${requirement}: ${refusal}`;
    }
    return null;
  }

  /** The queue is open over a session: what all jobs need is checked before the first one is there. */
  opened(session: Session): void {
    if (session === this.#session) return;
    this.#session = session;
    for (const state of this.#states.values()) state.metAt = -Infinity;
    for (const requirement of ["dead letters", "moves"] as const) this.#check(requirement);
  }

  /**
   * Whether all is known to be met; what was checked a while ago is checked again, which the job need not wait for.
   *
   * @param now The moment, by `performance.now()`.
   */
  areMet(requirements: readonly Requirement[], now: number = performance.now()): boolean {
    for (const requirement of requirements) {
      const state = this.#states.get(requirement);
      if (!state || state.metAt === -Infinity) return false;
      if (now - state.metAt > CHECK_MET_MS && requirement !== "acknowledgements") this.#check(requirement);
    }
    return true;
  }

  /** Checks what is not known to be met; returns whether all is. If not, the job is to be given back, and no jobs are taken for a while. */
  async meet(requirements: readonly Requirement[], delivery: Delivery): Promise<boolean> {
    for (const requirement of requirements) {
      while (!this.areMet([requirement])) {
        const { checkAt } = this.#requirement(requirement);
        if (!delivery.ours || !this.#queue.context.connection.isOn) return false;
        if (performance.now() < checkAt || await this.#check(requirement, delivery) === false) {
          this.#pauseUntil(this.#requirement(requirement).checkAt);
          return false;
        }
      }
    }
    return true;
  }

  /** The server refused something that a run needs. What all jobs need makes that none are taken for a while. */
  refused(requirement: Requirement, error: unknown): void {
    if (this.#over.aborted) return;
    const state = this.#requirement(requirement);
    const now = performance.now();
    // Of many that are refused at the same time, one counts.
    if (state.refusal === null || state.checkAt <= now) state.checkAt = now + backoff(++state.failures, CHECK_AGAIN_MS);
    state.refusal = messageOf(error);
    state.metAt = -Infinity;
    if (requirement !== "results") this.#pauseUntil(state.checkAt);
    this.#complain();
    if (!this.#checkingAgain) this.#checkAgain();
  }

  /** The end of a run was refused, and is to be stored: until then, or until it is given up, no check says that the requirement is met. */
  beginStoring(requirement: Requirement): void {
    this.#requirement(requirement).unstored++;
  }

  /** The end of a run that had been refused is stored, or given up. */
  endStoring(requirement: Requirement, isStored: boolean): void {
    const left = --this.#requirement(requirement).unstored;
    if (isStored && left === 0) this.met(requirement);
  }

  /** The requirement is met, as far as is known. */
  met(requirement: Requirement): void {
    const state = this.#requirement(requirement);
    const wasRefused = state.refusal !== null;
    Object.assign(state, { metAt: performance.now(), refusal: null, failures: 0, checkAt: -Infinity });
    if (!wasRefused || this.reason !== null) return;
    this.#pausedUntil = -Infinity;
    this.#log.forget();
    this.#logAgain();
    this.#listener.refresh();
  }

  #requirement(requirement: Requirement): RequirementState {
    let state = this.#states.get(requirement);
    if (!state) {
      state = { metAt: -Infinity, refusal: null, failures: 0, checkAt: -Infinity, checking: null, unstored: 0 };
      this.#states.set(requirement, state);
    }
    return state;
  }

  /** Whether the requirement is met; `null` if the server does not answer. */
  #check(requirement: Requirement, delivery?: Delivery): Promise<boolean | null> {
    const state = this.#requirement(requirement);
    return state.checking ??= this.#checkNow(requirement, delivery).finally(() => state.checking = null);
  }

  async #checkNow(requirement: Requirement, delivery?: Delivery): Promise<boolean | null> {
    try {
      const answered = await callQueue(this.#queue, async (call) => {
        if (requirement === "dead letters") await checkDeadLetters(call, this.#queue);
        else if (requirement === "moves") await checkMoves(call, this.#queue.names);
        else if (requirement === "results") await checkResults(call, this.#queue);
        else if (requirement === "look-ups") await checkLookUps(call, this.#queue.names);
        // An extension goes to the same subject as the acknowledgement.
        else if (requirement === "acknowledgements" && delivery) {
          await call.session.requests.request(delivery.ack, "+WPI", call.deadline, undefined, true);
        }
        return true;
      }, { persist: true, patient: true });
      return answered && this.#checked(requirement);
    } catch (error) {
      this.refused(requirement, error);
      return false;
    }
  }

  /** The check found nothing that is refused. */
  #checked(requirement: Requirement): boolean {
    const state = this.#requirement(requirement);
    if (state.unstored === 0) this.met(requirement);
    else this.refused(requirement, state.refusal);
    return state.unstored === 0;
  }

  #pauseUntil(moment: number): void {
    if (moment <= this.#pausedUntil) return;
    this.#pausedUntil = moment;
    this.#listener.refresh();
  }

  /** Checks again what is refused, until nothing is. Acknowledgements are checked with the next job. */
  async #checkAgain(): Promise<void> {
    this.#checkingAgain = true;
    for (;;) {
      const refused = [...this.#states].filter(([, { refusal }]) => refusal !== null);
      if (refused.length === 0 || this.#over.aborted) break;
      const next = Math.min(...refused.map(([, { checkAt }]) => checkAt));
      await delay(Math.max(next - performance.now(), CHECK_AGAIN_MS.base / 2), {
        signal: this.#over,
        persistent: false,
      });
      const due = refused.filter(([, { checkAt }]) => checkAt <= performance.now()).map(([requirement]) => requirement);
      for (const requirement of due) if (requirement !== "acknowledgements") await this.#check(requirement);
      // The pause may be over.
      if (!this.#over.aborted) this.#listener.refresh();
    }
    this.#checkingAgain = false;
  }

  /** Logs what is refused once, however its reason is worded for each job. */
  #complain(): void {
    const refused = [...this.#states].filter(([, { refusal }]) => refusal !== null).map(([requirement]) => requirement);
    const complaint = refused.join();
    if (!this.#log.isNew(complaint)) return;
    const which = refused.every((requirement) => requirement === "results") ? " that need results" : "";
    const line = `Queue ${this.#queue.names.queue} starts no jobs${which} (${this.reason}), retrying`;
    // More may be refused than the first, which is named, or less.
    if (line !== this.#complained) this.#log.warnSome(complaint, line);
    this.#complained = line;
  }

  /** Logs that jobs are started again, but not each time where room comes and goes. */
  #logAgain(): void {
    const now = performance.now();
    if (now - this.#loggedAgainAt < LOG_AGAIN_MS) return;
    this.#loggedAgainAt = now;
    this.#complained = "";
    this.#queue.context.logger.info(`Queue ${this.#queue.names.queue} starts jobs again`);
  }
}
