import type { AttemptOptions } from "../../connection/attempts.ts";
import type { Context } from "../../wire/context.ts";
import type { Session } from "../../wire/session.ts";
import type { QueueNames } from "../format/queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";

/** One try at something on a queue: over this session, until this moment. */
export interface QueueCall {
  readonly session: Session;
  /** By `performance.now()`. */
  readonly deadline: number;
  readonly names: QueueNames;
  readonly stream: QueueStream;
}

/**
 * How something is removed that tells how much there was: when the connection broke meanwhile, nobody can tell (`null`), since a repeat would meet
 * less.
 */
export const REMOVAL: Partial<AttemptOptions> = { repeatable: ({ reason }) => reason !== "lost" };

/** Does something on a queue; `null` where that cannot be done within the time that a call may take. */
export function callQueue<R>(
  { context, names, stream }: { context: Context; names: QueueNames; stream: QueueStream },
  operation: (call: QueueCall) => Promise<R>,
  options?: Partial<AttemptOptions>,
): Promise<R | null> {
  return context.connection.attempt(
    (session, deadline) => operation({ session, deadline, names, stream }),
    { timeout: context.timeout, ...options },
  );
}
