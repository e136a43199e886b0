import type { NatsConnection } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import type { Settings } from "../settings.ts";
import { adoptable, isUp } from "./nats/adopt.ts";
import { SILENCE } from "./nats/silence.ts";
import { apiPrefixOf, withoutOther } from "./_api_prefix.ts";
import { type AttemptOptions, Attempts, type Operation } from "./attempts.ts";
import { checkConnectOptions, type ConnectOptions } from "./connect_options.ts";
import { type ConnectTarget, connectTarget } from "./_connect_target.ts";
import type { ConnectionCounters, ConnectionInfo, ConnectionStatus } from "./connection_info.ts";
import { connectionInfo } from "./connection_info.ts";
import { settledWithin } from "../delay.ts";
import { keepConnected } from "./_keep_connected.ts";
import type { Logger } from "./logger.ts";
import { type Session, Sessions } from "./sessions.ts";
import { StateLog } from "./_state_log.ts";
import { followStatus, type StatusEvents } from "./_status_events.ts";
import { messageOf } from "../shown.ts";

/** Milliseconds that letting go of a closed connection may take beyond the deadline of close(). */
const GRACE = 50;

/**
 * Opens, keeps, adopts and closes one connection, and is the one place where being without it turns into `null`.
 *
 * A session lasts from a connect to the next disconnect: what waits in it is settled when it ends, and what follows the server (a watch, a worker)
 * starts again with the next.
 */
export class Connection<S extends Session> {
  readonly #targetOf: (options: ConnectOptions) => ConnectTarget | null;
  /** The prefix of the JetStream API that the defaults name. */
  readonly #defaultApiPrefix: () => string | undefined;
  readonly #log: StateLog;
  readonly #sessions: Sessions<S>;
  readonly #counters: ConnectionCounters = { degraded: 0, timedOut: 0, connects: 0, disconnects: 0 };
  readonly #attempts: Attempts<S>;
  #status: ConnectionStatus = "none";
  #target: ConnectTarget | null = null;
  #apiPrefix: string | undefined;
  /** Ends whatever keeps the present connection; a new one for each connect(), useConnection() and close(). */
  #keeping = new AbortController();
  /** Settles when all stopped keepers have released their sockets and timers. */
  #kept: Promise<unknown> = Promise.resolve();
  #refused: JetStreamStoreError | null = null;
  /** Why the last attempt to connect failed. */
  #failure: string | null = null;
  /** What the server refuses while a session lasts. */
  readonly #refusals: Pick<StatusEvents, "denied" | "reported"> = {
    denied: (operation, subject) => this.#sessions.current?.denied(operation, subject),
    reported: (message) => this.#sessions.current?.reported(message),
  };

  /**
   * @param given What connect() and the first use go by.
   * @param openSession Builds a session, with this prefix of the JetStream API.
   * @throws {TypeError | RangeError} If one of the defaults is wrong.
   */
  constructor(
    settings: Settings,
    logger: Logger,
    given: ConnectOptions,
    openSession: (nc: NatsConnection, apiPrefix: string | undefined) => S,
  ) {
    const defaults = checkConnectOptions(given);
    this.#targetOf = (options) => connectTarget({ ...withoutOther(defaults, options), ...options }, settings);
    this.#defaultApiPrefix = () => apiPrefixOf(defaults, settings);
    this.#log = new StateLog(logger);
    this.#sessions = new Sessions((nc) => openSession(nc, this.#apiPrefix));
    this.#attempts = new Attempts(this.#sessions, this.#counters, {
      wanted: () => this.#startLazily(),
      over: () => this.#keeping.signal,
      isConnecting: () => this.#status === "connecting",
    });
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** Whether there is a connection, or is going to be one. */
  get isOn(): boolean {
    return this.#status !== "none" && this.#status !== "closed";
  }

  /** Why there is no connection: the last attempt's failure; `null` while there is one. */
  get failure(): string | null {
    return this.#sessions.current ? null : this.#failure;
  }

  get counters(): ConnectionCounters {
    return { ...this.#counters };
  }

  /** The server we are connected to, or `null`. */
  get info(): ConnectionInfo | null {
    const { nc } = this.#sessions;
    return nc && connectionInfo(nc, this.#apiPrefix);
  }

  /** Connects if there is no connection yet, and waits for the first attempt. */
  async connect(given?: ConnectOptions): Promise<ConnectionInfo | null> {
    const options = checkConnectOptions(given);
    const target = this.#targetOf(options);
    if (this.#sessions.current) return this.info;
    const isNew = Object.keys(options).length > 0 && target?.identity !== this.#target?.identity;
    if (!this.#sessions.areExpected || isNew) this.#start(target);
    await this.#sessions.coming(Infinity);
    if (!this.#sessions.current && this.#refused !== null) throw this.#refused;
    return this.info;
  }

  /** Works over a connection made elsewhere, which stays its maker's to close. */
  use(nc: unknown): void {
    const adopted = adoptable(nc);
    const apiPrefix = this.#defaultApiPrefix();
    const stop = this.#stopKeeping();
    this.#apiPrefix = apiPrefix;
    this.#status = "reconnecting";
    this.#sessions.expect();
    followStatus(adopted, {
      lost: () => this.#lose(adopted),
      back: () => this.#gain(adopted),
      closed: () => {
        this.#shut();
        this.#log.closedByOwner();
      },
      ...this.#refusals,
    }, stop);
    if (isUp(adopted)) this.#gain(adopted);
    else this.#log.lost(adopted);
  }

  /** Flushes and closes within `deadline` milliseconds. Afterwards everything is `null` until connect() is called again. */
  async close(deadline: number): Promise<void> {
    const until = performance.now() + deadline;
    const { nc } = this.#sessions;
    if (nc) await this.#attempts.flush(nc, deadline);
    const wasOpen = this.#status !== "none" && this.#status !== "closed";
    this.#shut();
    await settledWithin(this.#kept, Math.max(until - performance.now(), GRACE));
    if (wasOpen) this.#log.closed();
  }

  /** Calls back with the present session, if any, and with each later one. Returns what ends this. */
  follow(follower: (session: S) => void): () => void {
    this.#startLazily();
    return this.#sessions.follow(follower);
  }

  /** {@linkcode Attempts.attempt} over this connection. */
  attempt<T>(operation: Operation<S, T>, options: AttemptOptions): Promise<T | null> {
    return this.#attempts.attempt(operation, options);
  }

  /** The first use opens the connection that the environment names. */
  #startLazily(): void {
    if (this.#status === "none") this.#start(this.#targetOf({}));
  }

  #start(target: ConnectTarget | null): void {
    if (!target) return this.#log.unconfigured();
    const stop = this.#stopKeeping();
    this.#status = "connecting";
    this.#target = target;
    this.#apiPrefix = target.apiPrefix;
    this.#sessions.attempt();
    const keeping = keepConnected(target, {
      connected: (nc) => this.#gain(nc),
      lost: (nc, why) => {
        this.#sessions.attempt();
        this.#lose(nc, why);
      },
      failed: (error) => this.#fail(error),
      late: () => this.#sessions.attemptOver(),
      ...this.#refusals,
    }, stop);
    this.#kept = Promise.all([this.#kept, keeping]);
  }

  /** Lets go of the present connection; returns the signal that ends what comes next. */
  #stopKeeping(): AbortSignal {
    this.#keeping.abort();
    this.#keeping = new AbortController();
    this.#target = null;
    this.#refused = this.#failure = null;
    this.#log.begin();
    this.#sessions.end("The connection was closed");
    this.#sessions.attemptOver();
    return this.#keeping.signal;
  }

  #shut(): void {
    this.#stopKeeping();
    this.#status = "closed";
    this.#sessions.giveUp();
  }

  #gain(nc: NatsConnection): void {
    // One that its owner closes as it comes back takes no subscription, nor does one that is drained, which is closed soon.
    if (this.#sessions.current || nc.isClosed() || nc.isDraining()) return;
    this.#sessions.begin(nc);
    this.#status = "connected";
    this.#refused = null;
    this.#counters.connects++;
    this.#log.connected(nc);
    this.#sessions.announce();
  }

  #lose(nc: NatsConnection, why?: Error): void {
    if (!this.#sessions.current) return;
    this.#status = "reconnecting";
    this.#counters.disconnects++;
    this.#log.lost(nc, why);
    this.#sessions.expect();
    this.#sessions.end("The connection was lost", why?.message === SILENCE);
  }

  #fail(error: unknown): void {
    this.#failure = messageOf(error);
    this.#refused = error instanceof JetStreamStoreError ? error : null;
    this.#log.failed(error);
    this.#sessions.attemptOver();
  }
}
