import { JetStreamStoreError } from "../errors.ts";
import type { JetStreamStores } from "../stores.ts";

/**
 * Makes a call whose `null` means that there is nothing.
 *
 * @throws {JetStreamStoreError} `disconnected`, if it is `null` as there was no answer.
 */
export async function ask<T>(stores: JetStreamStores, call: () => Promise<T>): Promise<T> {
  const { degraded } = stores.connectionCounters();
  const answer = await call();
  if (answer === null && stores.connectionCounters().degraded > degraded) {
    throw new JetStreamStoreError("disconnected", "NATS did not answer in time");
  }
  return answer;
}
