import type { NatsConnection } from "@nats-io/nats-core";

/** What a connection reports, in the words of this library. */
export interface StatusEvents {
  /** The connection broke. */
  lost(): void;
  /** An adopted connection is back by itself. */
  back(): void;
  /** The server refused a subject. */
  denied(operation: "publish" | "subscription", subject: string): void;
}

/** The fields of version 2 and version 3 of the NATS client, side by side. */
interface StatusEvent {
  type: string;
  error?: { operation?: string; subject?: string };
  permissionContext?: { operation?: string; subject?: string };
}

/** Follows the status of a connection of either version until it closes. */
export async function followStatus(nc: NatsConnection, events: StatusEvents): Promise<void> {
  for await (const event of nc.status() as AsyncIterable<StatusEvent>) {
    const { type, permissionContext: context = event.error } = event;
    if (type === "disconnect" || type === "staleConnection" || type === "close") events.lost();
    else if (type === "reconnect") events.back();
    else if (type === "error" && context?.subject !== undefined) {
      events.denied(context.operation === "subscription" ? "subscription" : "publish", context.subject);
    }
  }
}
