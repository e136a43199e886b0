import type { Call } from "./call.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "./context.ts";

/**
 * One step of a listing: where a single call is `null`, a lost connection must not be mistaken for an empty list.
 *
 * @param what What is listed, for the message.
 * @throws {JetStreamStoreError} `disconnected`, if there is no connection, or no answer within the deadline.
 */
export async function listingStep<T>(
  context: Context,
  what: string,
  operation: (call: Call) => Promise<T>,
): Promise<T> {
  const done = await context.connection.attempt(
    async (call) => ({ value: await operation(call) }),
    { timeout: context.timeout },
  );
  if (done) return done.value;
  throw new JetStreamStoreError("disconnected", `${what} cannot be read without a connection to NATS that answers`);
}
