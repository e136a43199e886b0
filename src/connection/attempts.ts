import type { NatsConnection } from "@nats-io/nats-core";
import { setImmediate } from "node:timers";
import { Call } from "./call.ts";
import { CallsUnderWay, Losses } from "./_calls_under_way.ts";
import type { ConnectionCounters } from "./connection_info.ts";
import { delay, settledWithin } from "../delay.ts";
import { countDegradedCall } from "../telemetry/instruments.ts";
import type { Session, Sessions } from "./sessions.ts";
import { Unavailable } from "./unavailable.ts";

/** How an attempt of {@linkcode Attempts.attempt} waits. */
export interface AttemptOptions {
  /** Milliseconds until the call is given up. */
  timeout: number;
  /** Whether a call that lost its connection waits for the next one as long as its deadline allows, not only for the first attempt to return. */
  persist?: boolean;
  /** Whether a call that begins during a reconnect waits for it, too: for what has to be reported. */
  patient?: boolean;
  /** Whether close() does not wait for it, and it counts as no call. */
  background?: boolean;
  /** Whether a call that failed so may be repeated; by default it may. */
  repeatable?: (failure: Unavailable) => boolean;
  /** Called before the call gives `null` because NATS was unavailable. */
  degraded?: () => void;
}

/** Milliseconds between two attempts of one call; doubles from the first to the last. */
const RETRY_DELAY_MS = { first: 20, last: 500 };

/** What a call does; it is done again after a passing failure. */
export type Operation<S extends Session, T> = (call: Call<S>) => Promise<T>;

/** What calls ask of their connection. */
export interface AttemptsEvents {
  /** A call needs the connection. */
  wanted(): void;
  /** Aborts when the present connection is given up. */
  over(): AbortSignal;
  /** Whether the first attempt to connect is under way. */
  isConnecting(): boolean;
}

/** Makes the calls over a connection, session after session, and turns being without one into `null`. */
export class Attempts<S extends Session> {
  readonly #sessions: Sessions<S>;
  readonly #counters: ConnectionCounters;
  readonly #events: AttemptsEvents;
  readonly #calls = new CallsUnderWay();
  /** Ends a call that succeeded. */
  readonly #ended = <T>(value: T): T => {
    this.#calls.end();
    return value;
  };
  /** Whether close() waits for the calls that are under way. */
  #closing = false;

  constructor(sessions: Sessions<S>, counters: ConnectionCounters, events: AttemptsEvents) {
    this.#sessions = sessions;
    this.#counters = counters;
    this.#events = events;
  }

  /** Waits for the calls that are under way; what is called meanwhile finds no connection. */
  async flush(nc: NatsConnection, deadline: number): Promise<void> {
    this.#closing = true;
    try {
      const flushed = this.#calls.idle().then(() => nc.flush());
      await settledWithin(Promise.race([flushed, nc.closed()]), deadline);
    } finally {
      this.#closing = false;
    }
  }

  /**
   * Runs an operation over the present session, again after a passing failure, and gives `null` when it cannot be done within the deadline.
   *
   * @param operation Gets one attempt of this call, by whose deadline it must settle.
   */
  attempt<T>(operation: Operation<S, T>, options: AttemptOptions): Promise<T | null> {
    const deadline = performance.now() + options.timeout;
    const session = this.#sessions.current;
    if (!session || this.#closing) {
      return this.#attemptLater(this.#firstSession(deadline, options.patient), operation, deadline, options);
    }
    // The usual way, without what only a failure needs.
    const call = new Call(session, deadline);
    const done = operation(call);
    if (options.background) return done.catch((error) => this.#attemptAgain(error, call, operation, options));
    this.#calls.begin();
    return done.then(
      this.#ended,
      (error) => this.#attemptAgain(error, call, operation, options).finally(() => this.#calls.end()),
    );
  }

  /** Goes on with a call whose first attempt has failed. */
  #attemptAgain<T>(
    error: unknown,
    call: Call<S>,
    operation: Operation<S, T>,
    options: AttemptOptions,
  ): Promise<T | null> {
    const { session, deadline } = call;
    const losses = this.#losses(new Losses(), session, deadline - options.timeout);
    const next = this.#sessionAfter(call, error, RETRY_DELAY_MS.first, options);
    return this.#attemptLater(next, operation, deadline, options, losses, call);
  }

  async #attemptLater<T>(
    first: Promise<S | null>,
    operation: Operation<S, T>,
    deadline: number,
    options: AttemptOptions,
    losses: Losses = new Losses(),
    call?: Call<S>,
  ): Promise<T | null> {
    let session = await first;
    for (let pause = RETRY_DELAY_MS.first; session !== null; pause = Math.min(pause * 2, RETRY_DELAY_MS.last)) {
      const [begun, alone] = [performance.now(), losses.suspicious];
      call = call?.next(session) ?? new Call(session, deadline);
      try {
        return alone ? await this.#runAlone(operation, call, losses, options.persist) : await operation(call);
      } catch (error) {
        if (!alone) this.#losses(losses, session, begun);
        session = losses.guilty ? null : await this.#sessionAfter(call, error, pause, options);
      }
    }
    if (!options.background) {
      this.#counters.degraded++;
      countDegradedCall();
    }
    options.degraded?.();
    // A caller that repeats at once must not keep the event loop from the reconnect.
    await new Promise((resolve) => setImmediate(resolve));
    return null;
  }

  /** Runs a call alone, as the server may have closed the connection because of it. */
  async #runAlone<T>(
    operation: Operation<S, T>,
    call: Call<S>,
    losses: Losses,
    persist?: boolean,
  ): Promise<T> {
    let result: Promise<T> | undefined;
    const hadTurn = await this.#calls.alone(call.deadline, async () => {
      // The one before may have cost the connection.
      const session = this.#sessions.current ?? await this.#sessions.coming(call.deadline, persist);
      if (!session) return;
      const begun = performance.now();
      result = operation(call.next(session));
      await result.catch(() => this.#losses(losses, session, begun));
    });
    if (!hadTurn) throw new Unavailable("timeout", "Calls that may have cost the connection run one by one");
    if (!result) throw new Unavailable("lost", "The connection was lost");
    return await result;
  }

  /** Notes whether the connection was lost while a call was under way that began then. */
  #losses(losses: Losses, session: S, begun: number): Losses {
    if (this.#sessions.current !== session) losses.note(performance.now() - begun);
    return losses;
  }

  /** For a call that begins without one: during a reconnect only a patient call waits. */
  async #firstSession(deadline: number, patient?: boolean): Promise<S | null> {
    if (this.#closing) return null;
    this.#events.wanted();
    return this.#events.isConnecting() || patient ? await this.#sessions.coming(deadline, patient) : null;
  }

  /** The session for the next attempt, after a pause; `null` if there is none, or no time for it. */
  async #sessionAfter(
    call: Call<S>,
    error: unknown,
    pause: number,
    { persist, background, repeatable = () => true }: AttemptOptions,
  ): Promise<S | null> {
    if (!(error instanceof Unavailable)) throw error;
    const { session, deadline } = call;
    const refusal = call.refusalAfter(error);
    if (error.reason === "timeout" || deadline - performance.now() <= pause) {
      if (refusal) throw refusal;
      if (!background) this.#counters.timedOut++;
      return null;
    }
    if (!repeatable(error)) return null;
    if (this.#sessions.current === session) await delay(pause, { signal: this.#events.over() });
    return this.#sessions.current ?? await this.#sessions.coming(deadline, persist);
  }
}
