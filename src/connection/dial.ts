import { errors, type NatsConnection } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import { isAllowed } from "../settings.ts";
import type { ConnectTarget } from "./connect_target.ts";
import { openConnection } from "./open_connection.ts";
import type { TargetServer } from "./server_url.ts";
import { SocketTransport } from "./socket_transport.ts";
import { WebsocketTransport } from "./websocket_transport.ts";

/**
 * One attempt: each server in random order, until one lets us in.
 *
 * @param announced Servers that the cluster told of (`host:port`), tried after the configured ones.
 * @param stop Gives the attempt up at once.
 * @throws {JetStreamStoreError} If trying again will not help by itself: credentials or TLS refused, the runtime does not allow it.
 * @throws {Error} If the servers are away.
 */
export async function dial(target: ConnectTarget, announced: string[], stop: AbortSignal): Promise<NatsConnection> {
  let failure: Error | undefined;
  for (const server of [...shuffled(target.servers), ...announcedServers(target, announced)]) {
    try {
      checkAllowed(server);
      const options = { ...await target.natsOptions(server.host), servers: [server.url] };
      return await openConnection(options, server.websocket ? new WebsocketTransport() : new SocketTransport(), stop);
    } catch (error) {
      if (stop.aborted) throw error;
      if (!(failure instanceof JetStreamStoreError)) failure = dialFailure(error, server.url);
    }
  }
  throw failure;
}

function shuffled(servers: TargetServer[]): TargetServer[] {
  return servers.map((server) => ({ server, rank: Math.random() })).sort((a, b) => a.rank - b.rank).map(({ server }) =>
    server
  );
}

/** Those that nobody configured are only a chance: what the runtime does not allow is left out. */
function announcedServers(target: ConnectTarget, announced: string[]): TargetServer[] {
  if (!target.followsCluster) return [];
  const configured = new Set(target.servers.map(({ host }) => host));
  return announced
    .filter((host) => !configured.has(host) && isAllowed({ name: "net", host }))
    .map((host) => ({ url: host, host, websocket: false }));
}

function checkAllowed({ host }: TargetServer): void {
  if (isAllowed({ name: "net", host })) return;
  throw new JetStreamStoreError(
    "net_permission",
    `The runtime does not allow the connection to NATS at ${host}: run with --allow-net=${host}`,
  );
}

/** A {@linkcode JetStreamStoreError} where a person has to mend something, else an error that says what is away. */
function dialFailure(error: unknown, server: string): Error {
  if (error instanceof JetStreamStoreError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = "code" in cause ? String(cause.code) : "";
  const reason = cause.message || code || cause.name;
  if (isRefusal(cause)) {
    return new JetStreamStoreError(
      "auth",
      `NATS at ${server} refused the credentials (${reason}): check SUPERCHECK_NATS_CREDS, _TOKEN, _USER, _PASSWORD or _NKEY_SEED`,
      { cause },
    );
  }
  if (cause.name === "NotCapable") {
    return new JetStreamStoreError(
      "net_permission",
      `The runtime does not allow the connection to NATS at ${server} (${reason})`,
      { cause },
    );
  }
  // Errors of the system tell host names, which may contain anything.
  if (!/^E[A-Z]+$/.test(code) && /cert|tls|ssl|alert|self.signed/i.test(`${code} ${reason}`)) {
    return new JetStreamStoreError(
      "tls",
      `TLS with NATS at ${server} failed (${reason}): check SUPERCHECK_NATS_TLS_CA, _CERT and _KEY, and that the server speaks TLS`,
      { cause },
    );
  }
  return new Error(`NATS at ${server} is away (${reason})`, { cause });
}

function isRefusal(error: Error): boolean {
  return error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError ||
    (error instanceof errors.ProtocolError && /authenti|authoriz/i.test(error.message));
}
