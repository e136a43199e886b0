import type { NatsConnection } from "@nats-io/nats-core";

/**
 * The server that a connection leads to.
 *
 * @category Connection
 */
export interface ConnectionInfo {
  /** `host:port` of the server. */
  server: string;
  /** Name that the server gives itself. */
  serverName: string;
  /** Version of the server. */
  version: string;
  /** Name of the cluster, if it is in one. */
  cluster?: string;
  /** Whether the server itself has JetStream. */
  jetstream: boolean;
  /** Prefix of the JetStream API that is used, where it is not the server's own (`domain` or `apiPrefix`). */
  apiPrefix?: string;
}

/**
 * Where the connection stands.
 *
 * @category Connection
 */
export type ConnectionStatus = "none" | "connecting" | "connected" | "reconnecting" | "closed";

/**
 * How often calls went without NATS.
 *
 * @category Connection
 */
export interface ConnectionCounters {
  /** Calls that were `null` because there was no connection or no answer. */
  degraded: number;
  /** How many of these had waited for their whole deadline. */
  timedOut: number;
  /** Connections made, the first included. */
  connects: number;
  /** Connections lost. */
  disconnects: number;
}

/** What a connection has learned of its server; `null` while it has none. */
export function connectionInfo(nc: NatsConnection, apiPrefix: string | undefined): ConnectionInfo | null {
  const { info } = nc;
  if (!info) return null;
  return {
    server: nc.getServer(),
    serverName: info.server_name,
    version: info.version,
    ...(info.cluster !== undefined && { cluster: info.cluster }),
    jetstream: info.jetstream === true,
    ...(apiPrefix !== undefined && { apiPrefix }),
  };
}
