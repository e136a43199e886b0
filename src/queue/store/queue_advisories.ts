import type { Msg } from "@nats-io/nats-core";
import { delay } from "../../delay.ts";
import { advisory } from "../../wire/jetstream_subjects.ts";
import type { Listening, Session } from "../../wire/session.ts";
import type { QueueNames } from "../format/queue_names.ts";

/** Characters of a subject token. */
const MAX_TOKEN_CHARACTERS = 3_000;

/** Milliseconds until a durable consumer is gone whose deletion the server has announced. */
const DELETED_MS = 1_000;

/** What is announced to the workers of a queue. Any client may have sent it, so it is only a reason to check. */
export interface QueueAdvisoryEvents {
  /** The message of this sequence was deleted. */
  deleted(sequence: number): void;
  /** The stream was deleted. */
  destroyed(): void;
  /** The settings of the queue have changed. */
  changed(): void;
  /** Somebody is about to replace the waiting message of a job: the subject token of its id. */
  changing(token: string): void;
}

/** Listens to what the server and other processes announce to the workers of a queue. */
export function listenToQueue(
  session: Session,
  { queue, stream, changed, changing }: QueueNames,
  events: QueueAdvisoryEvents,
): Listening[] {
  const refused = (error: Error) => {
    session.warnOnce(`Workers of queue ${queue} notice cancels, pauses and changes late: ${error.message}`);
  };
  const deleted = async () => {
    events.changed();
    await delay(DELETED_MS, { signal: session.signal, persistent: false });
    events.changed();
  };
  const on = (subject: string, receive: (message: Msg) => void) => session.subscribe(subject, receive, refused);
  return [
    on(advisory(`CONSUMER.MSG_TERMINATED.${stream}.*`), (message) => events.deleted(readTerminated(message))),
    on(advisory(`CONSUMER.PAUSE.${stream}.*`), () => events.changed()),
    // While as many run as may, no pull is open that would show these.
    on(advisory(`STREAM.DELETED.${stream}`), () => events.destroyed()),
    on(advisory(`CONSUMER.DELETED.${stream}.*`), deleted),
    on(changed, () => events.changed()),
    // Whoever has changed the rate's limit may have died before it announced that.
    on(advisory(`STREAM.UPDATED.${stream}`), () => events.changed()),
    on(changing, (message) => events.changing(message.string().slice(0, MAX_TOKEN_CHARACTERS))),
  ];
}

/**
 * Reads the advisory of a deleted message: its sequence.
 *
 * @throws {TypeError | SyntaxError} If it is malformed.
 */
function readTerminated(message: Msg): number {
  const sequence = message.json<{ stream_seq?: unknown } | null>()?.stream_seq;
  if (!Number.isSafeInteger(sequence)) throw new TypeError("No sequence of a message");
  return sequence as number;
}
