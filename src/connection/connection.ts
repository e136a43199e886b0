import type { NatsConnection } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import type { Settings } from "../settings.ts";
import { adoptable } from "./adopt.ts";
import { backoff } from "./backoff.ts";
import { type ConnectOptions, type ConnectTarget, connectTarget } from "./connect_options.ts";
import { delay, settledWithin } from "./delay.ts";
import { dial } from "./dial.ts";
import type { Logger } from "./logger.ts";
import { followStatus } from "./status_events.ts";
import { Unavailable } from "./unavailable.ts";

/** Where the connection stands. */
export type ConnectionStatus = "none" | "connecting" | "connected" | "reconnecting" | "closed";

/** The server that a connection leads to. */
export interface ConnectionInfo {
  /** `host:port` of the server. */
  server: string;
  /** Name that the server gives itself. */
  serverName: string;
  /** Version of the server. */
  version: string;
  /** Name of the cluster, if it is in one. */
  cluster?: string;
  /** Whether JetStream is on. */
  jetstream: boolean;
}

/** How often calls went without NATS. */
export interface ConnectionCounters {
  /** Calls that were `null` for want of a connection or of an answer. */
  degraded: number;
  /** How many of these had waited for their whole deadline. */
  timedOut: number;
  /** Connections made, the first included. */
  connects: number;
  /** Connections lost. */
  disconnects: number;
}

/** What is built anew over each unbroken stretch of a connection, and torn down at its end. */
export interface Session {
  /** The stretch is over: settles everything that waits. */
  end(reason: Unavailable): void;
  /** The server refused a subject. */
  denied(operation: "publish" | "subscription", subject: string): void;
}

/** How an attempt of {@linkcode Connection.attempt} waits. */
export interface AttemptOptions {
  /** Milliseconds until the call is given up. */
  timeout: number;
  /**
   * Whether a call that lost its connection waits for the next one as long as its deadline allows, not only for the first attempt to return.
   *
   * @default {false}
   */
  persist?: boolean;
}

const RECONNECT = { base: 100, max: 4_000 };

/**
 * Opens, keeps, adopts and closes one connection, and is the one place where being without it turns into `null`.
 *
 * A stretch without a break is a session: what waits in it is settled when it ends, and what follows the server (a watch, a worker) starts
 * again with the next.
 */
export class Connection<S extends Session> {
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #defaults: ConnectOptions;
  readonly #openSession: (nc: NatsConnection) => S;
  readonly #followers: Set<(session: S) => void> = new Set();
  readonly #counters: ConnectionCounters = { degraded: 0, timedOut: 0, connects: 0, disconnects: 0 };
  #status: ConnectionStatus = "none";
  #session: S | null = null;
  #nc: NatsConnection | null = null;
  /** Ends whatever keeps the present connection; a new one for each connect(), useConnection() and close(). */
  #keeping = new AbortController();
  /** Settles when the keeper has let go of its socket and timers. */
  #kept: Promise<void> = Promise.resolve();
  /** The attempt that callers may wait for: the first one, or the first one after a loss. */
  #attempt: PromiseWithResolvers<void> | null = null;
  #firstAttemptOver = false;
  #refused: JetStreamStoreError | null = null;
  #lastComplaint = "";

  /**
   * @param defaults What connect() and the first use go by.
   * @param openSession Builds what works over one unbroken stretch.
   */
  constructor(settings: Settings, logger: Logger, defaults: ConnectOptions, openSession: (nc: NatsConnection) => S) {
    this.#settings = settings;
    this.#logger = logger;
    this.#defaults = defaults;
    this.#openSession = openSession;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  get counters(): ConnectionCounters {
    return { ...this.#counters };
  }

  /** The server we are connected to, or `null`. */
  get info(): ConnectionInfo | null {
    const info = this.#session && this.#nc?.info;
    if (!info) return null;
    return {
      server: this.#nc!.getServer(),
      serverName: info.server_name,
      version: info.version,
      ...(info.cluster !== undefined && { cluster: info.cluster }),
      jetstream: info.jetstream === true,
    };
  }

  /** Connects if there is no connection yet, and waits for the first attempt. */
  async connect(options: ConnectOptions = {}): Promise<ConnectionInfo | null> {
    const target = connectTarget({ ...this.#defaults, ...options }, () => this.#settings.connection());
    if (this.#session) return this.info;
    const underWay = this.#status === "connecting" || this.#status === "reconnecting";
    if (!underWay || Object.keys(options).length > 0) {
      if (!target) return null;
      this.#start(target);
    }
    await this.#attempt?.promise;
    if (!this.#session && this.#refused !== null) throw this.#refused;
    return this.info;
  }

  /** Works over a connection made elsewhere, which stays its maker's to close. */
  use(nc: unknown): void {
    const adopted = adoptable(nc);
    const keeping = this.#stopKeeping();
    this.#firstAttemptOver = true;
    const lost = () => {
      if (keeping.aborted) return;
      this.#lose(adopted);
      if (adopted.isClosed()) this.#status = "closed";
    };
    const events = {
      lost,
      back: () => keeping.aborted || this.#gain(adopted),
      denied: this.#denied(keeping),
    };
    this.#gain(adopted);
    followStatus(adopted, events).catch((error) =>
      this.#complain(`The status of the connection cannot be followed: ${error}`)
    );
    adopted.closed().then(lost);
  }

  /** Flushes and closes within `deadline` milliseconds. Afterwards everything is `null` until connect() is called again. */
  async close(deadline: number): Promise<void> {
    const until = performance.now() + deadline;
    const nc = this.#nc;
    if (nc && this.#session) await settledWithin(nc.flush(), deadline);
    const wasOpen = this.#status !== "none" && this.#status !== "closed";
    this.#stopKeeping();
    this.#status = "closed";
    this.#firstAttemptOver = true;
    if (!await settledWithin(this.#kept, until - performance.now())) {
      this.#logger.warn(`The connection to NATS did not close within ${deadline} ms`);
    }
    if (wasOpen) this.#logger.info("Connection to NATS closed");
  }

  /** Calls back with the present session, if any, and with each later one. Returns what ends this. */
  follow(follower: (session: S) => void): () => void {
    this.#followers.add(follower);
    this.#startLazily();
    if (this.#session) follower(this.#session);
    return () => this.#followers.delete(follower);
  }

  /**
   * Runs an operation over the present session, again after a passing failure, and gives `null` when it cannot be done within the deadline.
   *
   * @param operation Gets the session and the moment (of `performance.now()`) by which it must settle.
   */
  async attempt<T>(
    operation: (session: S, deadline: number) => Promise<T>,
    options: AttemptOptions,
  ): Promise<T | null> {
    const deadline = performance.now() + options.timeout;
    let session = this.#session ?? await this.#firstSession(deadline);
    for (let pause = 20; session !== null; pause = Math.min(pause * 2, 500)) {
      try {
        return await operation(session, deadline);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        const left = deadline - performance.now();
        if (error.reason === "timeout" || left <= pause) {
          this.#counters.timedOut++;
          break;
        }
        if (error.reason === "lost") {
          if (this.#attempt) await settledWithin(this.#attempt.promise, left);
          if (options.persist && !this.#session) await this.#nextSession(deadline);
        } else {
          await delay(pause);
        }
        session = this.#session;
      }
    }
    this.#counters.degraded++;
    return null;
  }

  async #firstSession(deadline: number): Promise<S | null> {
    this.#startLazily();
    if (this.#firstAttemptOver || !this.#attempt) return null;
    await settledWithin(this.#attempt.promise, deadline - performance.now());
    return this.#session;
  }

  async #nextSession(deadline: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const unfollow = this.follow(() => resolve());
    await settledWithin(promise, deadline - performance.now());
    unfollow();
  }

  /** The first use opens the connection that the environment names. */
  #startLazily(): void {
    if (this.#status !== "none" || this.#firstAttemptOver) return;
    const target = connectTarget(this.#defaults, () => this.#settings.connection());
    if (target) this.#start(target);
    else this.#firstAttemptOver = true;
  }

  #start(target: ConnectTarget): void {
    const stop = this.#stopKeeping();
    this.#status = "connecting";
    this.#firstAttemptOver = false;
    this.#attempt = Promise.withResolvers();
    this.#kept = this.#keep(target, stop);
  }

  /** Lets go of the present connection; returns the signal of what comes next. */
  #stopKeeping(): AbortSignal {
    this.#keeping.abort();
    this.#keeping = new AbortController();
    this.#end("The connection was closed");
    this.#attemptOver();
    this.#refused = null;
    this.#lastComplaint = "";
    return this.#keeping.signal;
  }

  /** Connects, and connects again after each loss, for ever. */
  async #keep(target: ConnectTarget, stop: AbortSignal): Promise<void> {
    let announced: string[] = [];
    for (let failures = 0; !stop.aborted;) {
      try {
        const dialling = dial(target, announced);
        settledWithin(dialling, target.connectTimeout).then((settled) =>
          settled || stop.aborted || this.#attemptOver()
        );
        const nc = await dialling;
        announced = nc.info?.connect_urls ?? [];
        if (!stop.aborted) await this.#hold(nc, stop);
        await nc.close();
        // Right after a loss the way back is tried at once; only after a failure is there a reason to wait.
        failures = 0;
      } catch (error) {
        if (stop.aborted) return;
        this.#refuse(error);
        await delay(backoff(++failures, RECONNECT), { signal: stop, persistent: false });
      }
    }
  }

  /** Keeps a session open over `nc` until the connection breaks or is to stop. */
  async #hold(nc: NatsConnection, stop: AbortSignal): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const following = followStatus(nc, { lost: resolve, back: () => {}, denied: this.#denied(stop) });
    nc.closed().then(() => resolve());
    stop.addEventListener("abort", () => resolve(), { once: true });
    this.#gain(nc);
    await over;
    if (!stop.aborted) {
      this.#attempt = Promise.withResolvers();
      this.#lose(nc);
    }
    await nc.close();
    await following;
  }

  #attemptOver(): void {
    this.#firstAttemptOver = true;
    this.#attempt?.resolve();
    this.#attempt = null;
  }

  #denied(stop: AbortSignal) {
    return (operation: "publish" | "subscription", subject: string) => {
      if (!stop.aborted) this.#session?.denied(operation, subject);
    };
  }

  #gain(nc: NatsConnection): void {
    if (this.#session) return;
    const again = this.#counters.connects++ > 0;
    this.#nc = nc;
    this.#refused = null;
    this.#lastComplaint = "";
    this.#session = this.#openSession(nc);
    this.#status = "connected";
    this.#attemptOver();
    this.#logger.info(
      `${again ? "Connected again" : "Connected"} to NATS ${nc.info?.version ?? ""} at ${nc.getServer()}`,
    );
    for (const follower of this.#followers) follower(this.#session);
  }

  #lose(nc: NatsConnection): void {
    if (!this.#session) return;
    this.#counters.disconnects++;
    this.#status = "reconnecting";
    this.#logger.warn(`Lost the connection to NATS at ${nc.getServer()}: calls return null until it is back`);
    this.#end("The connection was lost");
  }

  #end(why: string): void {
    const session = this.#session;
    this.#session = null;
    this.#nc = null;
    session?.end(new Unavailable("lost", why));
  }

  #refuse(error: unknown): void {
    this.#attemptOver();
    this.#refused = error instanceof JetStreamStoreError ? error : null;
    this.#complain(`${error instanceof Error ? error.message : error}. Calls return null; trying on`);
  }

  /** One line for each new reason, not for each attempt. */
  #complain(message: string): void {
    if (message === this.#lastComplaint) return;
    this.#lastComplaint = message;
    if (this.#refused) this.#logger.error(message);
    else this.#logger.warn(message);
  }
}
