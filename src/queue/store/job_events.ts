import type { Msg } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { Unavailable } from "../../connection/unavailable.ts";
import { checkSignal } from "../../checks.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import type { Context } from "../../wire/context.ts";
import type { Listening, Session } from "../../wire/session.ts";
import { watch } from "../../bucket/watch.ts";
import { type EventDetails, type JobEvent, MAX_EVENT_REASON, readJobEvent } from "../format/job_event.ts";
import { EventBuffer } from "./_event_buffer.ts";
import { idOf, type QueueNames, tokenOf } from "../format/queue_names.ts";

/** Milliseconds between two checks for a listener, and after which silence means a listener that does not answer. */
const CHECK_MS = { interval: 1_000, timeout: 250 };

const FREQUENT: ReadonlySet<JobEvent["type"]> = new Set(["started", "progress", "completed"]);

/** Sends events: plain messages, not stored. */
export class EventSender {
  readonly #names: QueueNames;
  #listeners = false;
  #lastLook = -Infinity;
  /** What waits for the answer whether there is a listener, in order. */
  #held: HeldEvent[] | null = null;

  constructor(names: QueueNames) {
    this.#names = names;
  }

  /** Sends an event; the frequent ones only while there is a listener. */
  send(session: Session, token: string, type: JobEvent["type"], details: EventDetails = {}): void {
    const frequent = FREQUENT.has(type) && details.reason === undefined;
    if (frequent) {
      const now = performance.now();
      if (now - this.#lastLook >= CHECK_MS.interval) this.#look(session, now);
      if (!this.#listeners && !this.#held) return;
    }
    const subject = this.#names.event(type, token);
    const reason = details.reason?.slice(0, MAX_EVENT_REASON);
    const body = JSON.stringify({ type, id: idOf(token), at: new Date(), ...details, reason });
    // A failed event must not fail the report it belongs to. A progress as large as that is refused where it is stored.
    if (Buffer.byteLength(body) > session.maxPayload) return;
    if (this.#held) this.#held.push({ frequent, send: () => session.send(subject, body) });
    else session.send(subject, body);
  }

  /** Checks for listeners now and then: the server answers at once if there is none, a listener if there is one. */
  async #look(session: Session, now: number): Promise<void> {
    this.#lastLook = now;
    if (!this.#listeners) this.#held ??= [];
    try {
      // Not a single request: any number of listeners may answer.
      await session.requests.collect(this.#names.listening, "", now + CHECK_MS.timeout, () => true);
      this.#listeners = true;
    } catch (error) {
      this.#listeners = error instanceof Unavailable && error.reason === "timeout";
    }
    for (const { frequent, send } of this.#held ?? []) if (!frequent || this.#listeners) send();
    this.#held = null;
  }
}

interface HeldEvent {
  frequent: boolean;
  send: () => void;
}

/** What a listener receives. */
export interface EventListener {
  /** An event came; its body had so many bytes. */
  event(event: JobEvent, bytes: number): void;
  /** Listening began, at first or again: what happened before was missed. */
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
  const receive = ({ subject, data }: Msg) => {
    listener.event(readJobEvent(subject.split(".").at(-2), idOf(tokenOf(subject)), data), data.length);
  };
  const unfollow = context.connection.follow((session) => {
    subscriptions = [
      session.subscribe(names.event("*", token), receive, denied),
      // One answer makes a worker send the frequent events, however many listen.
      session.subscribe(names.listening, (message) => session.answer(message, ""), denied, { group: "listening" }),
    ];
    listener.begun();
  });
  return () => {
    unfollow();
    for (const subscription of subscriptions) subscription.stop();
  };
}

/**
 * Options of {@linkcode JobQueue.events}.
 *
 * @category Jobs
 */
export interface EventsOptions {
  /** Ends the iteration, without an error. */
  signal?: AbortSignal;
}

const OPTIONS: OptionNames<EventsOptions> = { signal: true };

/**
 * Follows the events of a queue, over reconnects, until the iteration ends, the signal aborts or the stores are closed. While the reader is slow,
 * the newest 10 000 events or 8 MiB of them wait.
 *
 * @throws {TypeError} If an option is wrong.
 * @throws {JetStreamStoreError} `disconnected`, if there is no connection when it begins.
 */
export function followEvents(
  context: Context,
  names: QueueNames,
  options: EventsOptions | null | undefined,
): AsyncGenerator<JobEvent, void> {
  const { signal } = checkOptions(options, OPTIONS, "follow the events");
  if (signal !== undefined) checkSignal(signal, "follow the events");
  return watch(context, `The events of queue ${names.queue}`, signal, (stop) => eventsUntil(stop, context, names));
}

async function* eventsUntil(stop: AbortSignal, context: Context, names: QueueNames): AsyncGenerator<JobEvent, void> {
  const arrived = new EventBuffer<JobEvent>();
  let failure: Error | null = null;
  let wake = () => {};
  stop.addEventListener("abort", () => wake(), { once: true });
  const unlisten = listenToEvents(context, names, "*", {
    event: (event, bytes) => {
      if (arrived.push(event, bytes)) {
        context.logger.warn(`Dropped old events of queue ${names.queue}: their reader is too slow`);
      }
      wake();
    },
    begun: () => {},
    denied: (error) => {
      failure = error;
      wake();
    },
  });
  try {
    while (!stop.aborted) {
      const event = arrived.shift();
      if (event) yield event;
      else if (failure) throw failure;
      else await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    unlisten();
  }
}
