import type { Call } from "../../wire/call.ts";
import { backoff } from "../../connection/backoff.ts";
import { delay } from "../../delay.ts";
import { retryUntil } from "../../wire/retry_until.ts";
import type { Session } from "../../wire/session.ts";
import { streamInfo } from "../../wire/streams.ts";
import type { Delivery } from "./delivery.ts";
import type { StreamIdentity } from "./stream_identity.ts";
import { callQueue } from "../store/queue_call.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { isRefusal } from "./error_kinds.ts";
import type { Requirement, RunRequirements } from "./run_requirements.ts";

/** Milliseconds until a call that was refused is made again. */
const REFUSED_RETRY_MS = { base: 200, max: 5_000 };

/** Something that is sent about a delivery: once, or again until it is answered. */
export type DeliveryCall<R> = (call: Call) => Promise<R>;

/** Makes the calls that concern a delivery: over reconnects, until they are answered or its lease is lost. */
export class DeliveryCalls {
  readonly #queue: QueueContext;
  readonly #identity: StreamIdentity;
  #session: Session | null = null;
  #stopped = false;
  /** Settles when it is known again whether leases are held. */
  doubt: Promise<void> | null = null;
  readonly #over: AbortSignal;
  readonly #requirements: RunRequirements;

  /** @param over Ends the waits between calls that are refused. */
  constructor(queue: QueueContext, identity: StreamIdentity, requirements: RunRequirements, over: AbortSignal) {
    this.#queue = queue;
    this.#identity = identity;
    this.#requirements = requirements;
    this.#over = over;
  }

  /** The present session. */
  get session(): Session | null {
    return this.#session;
  }

  /** Whether the present session is known to serve the stream that delivered the jobs. */
  get isSure(): boolean {
    return this.#identity.isKnown(this.#session);
  }

  /** The server's time in milliseconds. */
  now(): number {
    return this.#session?.now() ?? Date.now();
  }

  /** By how much the server's clock is ahead of `performance.now()`, at most; `null` if that is not known. */
  get serverAhead(): number | null {
    return this.#session?.ahead ?? null;
  }

  /** Asks for nothing any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Asks the server for its time, over reconnects: by how much its clock is ahead of `performance.now()`, at least. `null` if that is unknown. */
  async askServerAhead(): Promise<number | null> {
    const { context, names } = this.#queue;
    while (!this.#stopped && context.connection.isOn) {
      const answer = await callQueue(this.#queue, async (call) => {
        const info = await streamInfo(call, names.stream);
        return { ahead: Date.parse(info?.ts ?? "") - performance.now() };
      }, { timeout: context.timeout, persist: true, patient: true });
      if (answer) return Number.isNaN(answer.ahead) ? null : answer.ahead;
    }
    return null;
  }

  /**
   * Calls go over this session from now on.
   *
   * @param options How to listen to its end.
   */
  serve(session: Session, options: AddEventListenerOptions): void {
    this.#session = session;
    session.signal.addEventListener("abort", () => this.#session = null, options);
  }

  /**
   * Makes a call on which it depends whether a run starts: a refusal keeps others from starting, too.
   *
   * @throws {JetStreamStoreError} If the server refuses.
   */
  async demand<R>(delivery: Delivery, requirement: Requirement, call: DeliveryCall<R>): Promise<R | null> {
    try {
      return await this.callWhileHeld(delivery, call);
    } catch (error) {
      if (isRefusal(error)) this.#requirements.refused(requirement, error);
      throw error;
    }
  }

  /**
   * Makes a call; `null` without an answer while the lease is held, or if the stream is another one.
   *
   * @throws {JetStreamStoreError} If the server refuses.
   */
  async callWhileHeld<R>(delivery: Delivery, call: DeliveryCall<R>): Promise<R | null> {
    const untilAnswered = async (attempt: Call) =>
      await this.#identity.isSame(attempt, this.#queue.names)
        ? { answer: await retryUntil(attempt, call) }
        : { answer: null };
    await this.doubt;
    // The lease is extended meanwhile, so that one call may be over before it.
    while (delivery.ours && this.#queue.context.connection.isOn) {
      const timeout = delivery.leaseUntil - performance.now();
      const answered = await callQueue(this.#queue, untilAnswered, { timeout, persist: true, patient: true });
      if (answered) return answered.answer;
    }
    return null;
  }

  /**
   * Makes a call on which the end of a run depends. One that is refused is made again while the lease is held, as rights and room may be granted.
   *
   * @param refused Called at the first refusal.
   */
  async persist<R>(
    delivery: Delivery,
    requirement: Requirement,
    call: DeliveryCall<R>,
    refused?: () => Promise<unknown>,
  ): Promise<R | null> {
    try {
      return await this.callWhileHeld(delivery, call);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#requirements.refused(requirement, error);
    }
    this.#requirements.beginStoring(requirement);
    let answer: R | null = null;
    try {
      await refused?.();
      return answer = await this.#persist(delivery, requirement, call);
    } finally {
      this.#requirements.endStoring(requirement, answer !== null);
    }
  }

  async #persist<R>(delivery: Delivery, requirement: Requirement, call: DeliveryCall<R>): Promise<R | null> {
    for (let refusals = 1;; refusals++) {
      await delay(backoff(refusals, REFUSED_RETRY_MS), { signal: this.#over });
      if (!delivery.ours || this.#over.aborted) return null;
      try {
        return await this.callWhileHeld(delivery, call);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.#requirements.refused(requirement, error);
      }
    }
  }
}
