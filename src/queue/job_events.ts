import type { Msg } from "@nats-io/nats-core";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { listingStep } from "../wire/listing.ts";
import type { Listening, Session } from "../wire/session.ts";
import { decodeToken } from "../wire/tokens.ts";
import type { QueueNames } from "./queue_names.ts";

/** Something that happened to a job. */
export interface JobEvent {
  /**
   * `started`, `progress` and `completed` are sent while somebody listens; `failed` (an attempt), `retried`, `dead`, `cancelled` and `expired`
   * always.
   */
  type: "started" | "progress" | "completed" | "failed" | "retried" | "dead" | "cancelled" | "expired";
  /** The job's id. */
  id: string;
  /** When, by the clock of the process that reports it. */
  at: Date;
  /** Number of the attempt. */
  attempt?: number;
  /** The progress that was reported. */
  value?: unknown;
  /** Why it failed. */
  reason?: string;
}

/** Milliseconds between two looks whether somebody listens, and for which the server may take to say that nobody does. */
const LOOK = { every: 1_000, timeout: 250 };

const FREQUENT: ReadonlySet<JobEvent["type"]> = new Set(["started", "progress", "completed"]);

/** Sends events: plain messages, not stored. */
export class EventSender {
  readonly #names: QueueNames;
  #listeners = false;
  #lastLook = -Infinity;

  constructor(names: QueueNames) {
    this.#names = names;
  }

  /** Sends an event; the frequent ones only while somebody listens. */
  send(session: Session, token: string, type: JobEvent["type"], details: Partial<JobEvent> = {}): void {
    if (FREQUENT.has(type)) {
      this.#look(session);
      if (!this.#listeners) return;
    }
    session.send(
      this.#names.event(type, token),
      JSON.stringify({ type, id: decodeToken(token) ?? token, at: new Date(), ...details }),
    );
  }

  /** Now and then asks the server whether anybody listens: it says at once if nobody does. */
  async #look(session: Session): Promise<void> {
    const now = performance.now();
    if (now - this.#lastLook < LOOK.every) return;
    this.#lastLook = now;
    try {
      await session.requests.request(this.#names.listening, "", now + LOOK.timeout);
    } catch (error) {
      this.#listeners = error instanceof Unavailable && error.reason === "timeout";
    }
  }
}

/** What a listener is told. */
export interface EventListener {
  /** An event came. */
  event(event: JobEvent): void;
  /** Listening began, at first or again: what happened before was not heard. */
  begun(): void;
  /** The server does not allow it. */
  denied(error: JetStreamStoreError): void;
}

/** Listens to the events of one job, or (`*`) of all, over reconnects. Returns what ends it. */
export function listenToEvents(
  context: Context,
  names: QueueNames,
  token: string,
  listener: EventListener,
): () => void {
  let subscriptions: Listening[] = [];
  const denied = (cause: Error) => {
    listener.denied(
      new JetStreamStoreError(
        "permission",
        `The events of queue ${names.queue} may not be followed: ${cause.message}`,
        { cause },
      ),
    );
  };
  const receive = (message: Msg) => {
    const event = message.json<JobEvent>();
    listener.event({ ...event, at: new Date(event.at) });
  };
  const unfollow = context.connection.follow((session) => {
    subscriptions = [
      session.subscribe(names.event("*", token), receive, denied),
      // Nothing is sent here: that it is listened to tells the workers to send the frequent events.
      session.subscribe(names.listening, () => {}, denied),
    ];
    listener.begun();
  });
  return () => {
    unfollow();
    for (const subscription of subscriptions) subscription.stop();
  };
}

/**
 * Follows the events of a queue, over reconnects, until the iteration ends or the connection is closed.
 *
 * @throws {JetStreamStoreError} `disconnected`, if there is no connection when it begins.
 */
export async function* followEvents(context: Context, names: QueueNames): AsyncGenerator<JobEvent, void> {
  await listingStep(context, `The events of queue ${names.queue}`, () => Promise.resolve());
  const arrived: JobEvent[] = [];
  let failure: Error | null = null;
  let open = true;
  let wake = () => {};
  const stop = listenToEvents(context, names, "*", {
    event: (event) => {
      arrived.push(event);
      wake();
    },
    begun: () => {},
    denied: (error) => {
      failure = error;
      wake();
    },
  });
  const close = () => {
    open = false;
    wake();
    return Promise.resolve();
  };
  context.closers.add(close);
  try {
    while (open) {
      while (arrived.length > 0) yield arrived.shift()!;
      if (failure) throw failure;
      if (open) await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    context.closers.delete(close);
    stop();
  }
}
