import type { NatsConnection } from "@nats-io/nats-core";

/** What a connection reports, in the words of this library. */
export interface StatusEvents {
  /** It broke. */
  lost?(): void;
  /** It is back by itself. */
  back?(): void;
  /** It is over, for good. */
  closed?(): void;
  /** The cluster announced other servers. */
  announced?(): void;
  /** The server refused a subject. */
  denied(operation: "publish" | "subscription", subject: string): void;
  /** The server reported an error that names no subject (`-ERR`), for instance that a limit is reached. */
  reported(message: string): void;
}

/** The fields of version 2 and version 3 of the NATS client, side by side. */
interface StatusEvent {
  type: string;
  data?: unknown;
  error?: { message?: string; operation?: string; subject?: string };
  permissionContext?: { operation?: string; subject?: string };
}

/** Follows the status of a connection of either version until the signal aborts. */
export async function followStatus(nc: NatsConnection, events: StatusEvents, stop: AbortSignal): Promise<void> {
  // Both versions give an iterator that can be stopped from outside, and keep it until then.
  const status = nc.status() as AsyncIterable<StatusEvent> & { stop?(): void };
  stop.addEventListener("abort", () => status.stop?.(), { once: true });
  nc.closed().then(() => stop.aborted || events.closed?.());
  for await (const event of status) {
    if (stop.aborted) return;
    const { type, permissionContext: context = event.error } = event;
    if (type === "disconnect" || type === "staleConnection") events.lost?.();
    else if (type === "reconnect") events.back?.();
    else if (type === "update") events.announced?.();
    else if (type === "error" && context?.subject) {
      events.denied(context.operation === "subscription" ? "subscription" : "publish", context.subject);
    } else if (type === "error") events.reported(event.error?.message ?? lastErrorOf(nc) ?? String(event.data));
  }
}

/** Version 2 reports only that there was an error; it keeps the error itself where its public types do not show it. */
function lastErrorOf(nc: NatsConnection): string | undefined {
  return (nc as { protocol?: { lastError?: Error } }).protocol?.lastError?.message;
}
