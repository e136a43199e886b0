import type { Msg } from "@nats-io/nats-core";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";

/**
 * The JSON object of a reply.
 *
 * @throws {Unavailable} If it is none: the reply is damaged and counts as lost. If every try ends like this the call throws a `JetStreamStoreError`.
 */
export function replyJson<T extends object>(reply: Msg, subject: string): T {
  let value: unknown;
  let cause: unknown;
  try {
    value = reply.json();
  } catch (error) {
    cause = error;
  }
  if (typeof value === "object" && value !== null) return value as T;
  throw damagedReply(subject, cause);
}

/** What to throw for a reply that cannot be what was asked for. */
export function damagedReply(subject: string, cause?: unknown): Unavailable {
  const message = `The reply on "${subject}" cannot be read: check what stands between this process and nats-server`;
  return new Unavailable("lost", message, { refusal: new JetStreamStoreError("server", message, { cause }) });
}
