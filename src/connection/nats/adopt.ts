import type { NatsConnection } from "@nats-io/nats-core";

const METHODS = ["publish", "subscribe", "status", "closed", "isClosed", "isDraining", "flush", "getServer"] as const;

/**
 * Checks a connection made elsewhere: any transport of `@nats-io/*`, nats.deno, or `npm:nats` 2.
 *
 * @throws {TypeError} If it is none of these, is closed or draining, or does not receive what it sends itself (`noEcho`).
 */
export function adoptable(nc: unknown): NatsConnection {
  const candidate = nc as Partial<NatsConnection> | null | undefined;
  const missing = METHODS.find((method) => typeof candidate?.[method] !== "function");
  if (missing !== undefined) {
    throw new TypeError(
      `Cannot use the connection as it has no method '${missing}': hand over the result of connect() of @nats-io/transport-node, ` +
        "@nats-io/transport-deno, nats.deno or npm:nats 2",
    );
  }
  const connection = candidate as NatsConnection;
  const over = connection.isClosed() ? "closed" : connection.isDraining() ? "draining" : null;
  if (over !== null) throw new TypeError(`Cannot use the connection as it is ${over}: hand over an open one`);
  if (connection.info?.headers === false) {
    throw new TypeError(
      "Cannot use the connection as its server has no message headers: update the server to 2.10 or newer",
    );
  }
  if (optionsOf(connection)?.noEcho === true) {
    throw new TypeError(
      "Cannot use the connection as it was made with 'noEcho': events of jobs and replies of workers in the same process would not arrive. " +
        "Hand over one that was made without it",
    );
  }
  return connection;
}

/** What connect() was given: not in the public types, but where both versions keep it. */
function optionsOf(nc: NatsConnection): { inboxPrefix?: unknown; noEcho?: unknown; name?: unknown } | undefined {
  return (nc as { options?: { inboxPrefix?: unknown; noEcho?: unknown; name?: unknown } }).options;
}

/** The name that the connection gave itself, if any. */
export function clientNameOf(nc: NatsConnection): string | undefined {
  const name = optionsOf(nc)?.name;
  return typeof name === "string" ? name : undefined;
}

/** The prefix under which the connection may receive replies. */
export function inboxPrefixOf(nc: NatsConnection): string {
  const inboxPrefix = optionsOf(nc)?.inboxPrefix;
  return typeof inboxPrefix === "string" ? inboxPrefix : "_INBOX";
}

/** Whether a connection made elsewhere is up: it may be reconnecting. */
export function isUp(nc: NatsConnection): boolean {
  // Not in the public types either.
  return (nc as { protocol?: { connected?: boolean } }).protocol?.connected !== false;
}
