import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { createInbox } from "@nats-io/nats-core";
import { clientNameOf, inboxPrefixOf } from "../connection/nats/adopt.ts";
import { LimitedLog } from "../connection/limited_log.ts";
import type { Logger } from "../connection/logger.ts";
import type { Session as ConnectionSession } from "../connection/sessions.ts";
import type { Unavailable } from "../connection/unavailable.ts";
import type { JetStreamStoreError } from "../errors.ts";
import { ControlLine } from "./requests/control_line.ts";
import type { HeaderBlock } from "../connection/nats/headers.ts";
import { Incoming } from "./requests/incoming.ts";
import { JetStreamSubjects } from "./jetstream_subjects.ts";
import { Requests } from "./requests/requests.ts";
import { ServerVersion } from "../connection/server_version.ts";
import { deniedError, type OwnSubscription, type SubscribeOptions, Subscriptions } from "./requests/subscriptions.ts";

/** A subscription of a session. */
export interface Listening {
  /** Stops at once. */
  stop(): void;
  /** Stops once what the server has sent already has come, or the session ends. */
  drain(): Promise<void>;
}

/** Listens to nothing. */
const NOTHING: Listening = { stop: () => {}, drain: () => Promise.resolve() };

/** One session: all traffic of stores and queues from a connect to the next disconnect. */
export class Session implements ConnectionSession {
  readonly #nc: NatsConnection;
  readonly #over = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  readonly #line: ControlLine;
  readonly #subscriptions: Subscriptions;
  readonly #open: Set<OwnSubscription> = new Set();
  readonly #log: LimitedLog;
  readonly #denials: Set<(subject: string, error: JetStreamStoreError) => void> = new Set();
  /** By how much the server's clock is ahead of `performance.now()`, at most. */
  #ahead: number | null = null;
  /** Requests with an answer. */
  readonly requests: Requests;
  /** Bytes that the server may have under way to us. */
  readonly incoming: Incoming;
  /** What the server can do. */
  readonly server: ServerVersion;
  /** Where JetStream is spoken to. */
  readonly subjects: JetStreamSubjects;

  /**
   * @param line What is known of the server's control line; it outlives the session.
   * @param apiPrefix Prefix of the JetStream API; by default that of the connected server.
   */
  constructor(nc: NatsConnection, logger: Logger, line: ControlLine = new ControlLine(), apiPrefix?: string) {
    this.#nc = nc;
    this.#log = new LimitedLog(logger);
    this.#line = line;
    line.begin();
    this.#subscriptions = new Subscriptions(nc);
    this.subjects = new JetStreamSubjects(apiPrefix);
    this.requests = new Requests(nc, this.#subscriptions, line, this.subjects.isOwn);
    this.incoming = new Incoming(() => this.maxPayload);
    this.server = new ServerVersion(nc.info?.version ?? "0.0.0");
  }

  /** Aborts when the session ends. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether the server says that JetStream is on. */
  get jetstream(): boolean {
    return this.#nc.info?.jetstream === true;
  }

  /**
   * The server's time in milliseconds. It decides when a schedule fires and what a stored time means, so the clock of this machine must not: it may
   * be wrong. Until the server has sent its time, it is ours.
   *
   * @param at Of which moment of `performance.now()`; by default of the present one.
   */
  now(at?: number): number {
    return this.#ahead === null ? Date.now() : this.#ahead + (at ?? performance.now());
  }

  /** By how much the server's clock is ahead of `performance.now()`, at most; `null` until the server has sent its time. */
  get ahead(): number | null {
    return this.#ahead;
  }

  /**
   * The server has sent its time: it was so after `sent`, a moment of `performance.now()`, and before now. What it is at most counts, since a
   * delayed job must not run early. What contradicts that is more exact, or a clock was set.
   */
  noteTime(text: string, sent: number): void {
    const time = Date.parse(text);
    const known = this.#ahead ?? Infinity;
    const [least, most] = [time - performance.now(), time - sent];
    if (most < known || least > known) this.#ahead = most;
  }

  /** Bytes that one message may have, headers included. */
  get maxPayload(): number {
    return this.#nc.info?.max_payload ?? 1_048_576;
  }

  /** Logs a warning, the first one of its kind in this session. */
  warnOnce(message: string, kind: string = message): void {
    this.#log.warnNew("", message, kind);
  }

  /** Name and address of this connection at the server; `null` where they are unknown. */
  get client(): { name: string | null; address: string | null } {
    return { name: clientNameOf(this.#nc) ?? null, address: this.#nc.info?.client_ip ?? null };
  }

  /** A unique subject for replies. */
  inbox(): string {
    return createInbox(inboxPrefixOf(this.#nc));
  }

  /**
   * Answers a message of any sender. Only below an inbox prefix: any other reply subject would make this process publish with its own
   * permissions wherever the sender wants.
   */
  answer({ reply }: Msg, payload: string): void {
    if (reply && (/^_INBOX[^.]*\./.test(reply) || reply.startsWith(`${inboxPrefixOf(this.#nc)}.`))) {
      this.send(reply, payload);
    }
  }

  /** Sends a message without waiting for an answer; not over a connection that its owner is closing. */
  send(subject: string, payload: Uint8Array | string, options: { reply?: string; headers?: HeaderBlock } = {}): void {
    const { reply = "", headers } = options;
    this.#line.check(subject, reply);
    try {
      this.#nc.publish(subject, payload, headers ? { reply, headers: headers.asMsgHdrs() } : { reply });
    } catch (error) {
      if (!this.#nc.isClosed() && !this.#nc.isDraining()) throw error;
    }
  }

  /**
   * Listens until it is stopped, or the session ends; not at all over a connection that its owner is closing, as its session ends soon. A message
   * that cannot be read is dropped: any client may have sent it, and it must not close the connection.
   *
   * @param refused Called if the server refuses the subscription: `permission` if the user may not subscribe, `limits` if there are too many.
   */
  subscribe(
    subject: string,
    receive: (message: Msg) => void,
    refused: (error: JetStreamStoreError) => void,
    options?: SubscribeOptions,
  ): Listening {
    if (this.#nc.isClosed() || this.#nc.isDraining()) return NOTHING;
    this.#line.check(subject, options?.group ?? "");
    const subscription = this.#subscriptions.add(
      subject,
      { receive: this.#guarded(subject, receive), refused },
      options,
    );
    this.#open.add(subscription);
    return {
      stop: () => {
        if (this.#open.delete(subscription)) subscription.stop();
      },
      drain: async () => {
        // Without an answer the client would wait for ever.
        if (this.#open.delete(subscription)) await Promise.race([subscription.drain(), this.#ended.promise]);
      },
    };
  }

  #guarded(subject: string, receive: (message: Msg) => void): (message: Msg) => void {
    return (message) => {
      try {
        receive(message);
      } catch {
        // What it says may be a secret, and so may the error quote.
        this.warnOnce(`Dropped a malformed message on ${message.subject}, as will be further ones`, subject);
      }
    };
  }

  /** Calls back for each subject on which the server refuses a message, as a send without a reply gets no error. Returns what stops this. */
  onDenied(denied: (subject: string, error: JetStreamStoreError) => void): () => void {
    this.#denials.add(denied);
    return () => this.#denials.delete(denied);
  }

  end(reason: Unavailable): void {
    this.#over.abort(reason);
    this.#ended.resolve();
    this.requests.end(reason);
    this.incoming.end(reason);
    for (const subscription of this.#open) subscription.stop();
    this.#open.clear();
  }

  denied(operation: "publish" | "subscription", subject: string): void {
    // A refused subscription gets it from its connection.
    if (operation === "subscription") return;
    this.requests.denied(subject);
    for (const denied of this.#denials) denied(subject, deniedError(operation, subject));
  }

  reported(message: string): void {
    if (this.#subscriptions.reported(message)) return;
    if (this.#line.reported(message)) return this.requests.failTooLong();
    // What closes the connection is logged as the reason for that. The rest, such as an invalid subject, does not say whom it concerns.
    if (!/invalid/i.test(message)) return;
    this.warnOnce(`NATS reports an error: ${message}`);
  }
}
