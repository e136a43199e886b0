import type { NatsConnection } from "@nats-io/nats-core";
import { errors, wsconnect } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import type { ConnectTarget, TargetServer } from "./connect_options.ts";
import { connectOverSocket } from "./socket_transport.ts";

/**
 * One attempt: each server in random order, until one lets us in.
 *
 * @param announced Servers that the cluster told of (`host:port`), tried after the configured ones.
 * @throws {JetStreamStoreError} If trying again will not help by itself: credentials or TLS refused, the runtime does not allow it.
 * @throws {Error} If the servers are away.
 */
export async function dial(target: ConnectTarget, announced: string[]): Promise<NatsConnection> {
  let failure: Error | undefined;
  for (const server of [...shuffled(target.servers), ...announcedServers(target, announced)]) {
    try {
      const options = { ...await target.natsOptions(), servers: [server.url] };
      return await (server.websocket ? wsconnect(options) : connectOverSocket(options));
    } catch (error) {
      const named = nameFailure(error, server);
      if (!(failure instanceof JetStreamStoreError)) failure = named;
    }
  }
  throw failure;
}

function shuffled(servers: TargetServer[]): TargetServer[] {
  return servers.map((server) => ({ server, rank: Math.random() })).sort((a, b) => a.rank - b.rank).map(({ server }) =>
    server
  );
}

function announcedServers(target: ConnectTarget, announced: string[]): TargetServer[] {
  if (!target.followsCluster) return [];
  const known = new Set(target.servers.map((server) => server.url));
  return announced.filter((url) => !known.has(url)).map((url) => {
    const colon = url.lastIndexOf(":");
    return {
      url,
      hostname: url.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(url.slice(colon + 1)),
      websocket: false,
    };
  });
}

/** A {@linkcode JetStreamStoreError} where a person has to mend something, else an error that says what is away. */
function nameFailure(error: unknown, server: TargetServer): Error {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return new Error(`NATS at ${server.url} is away`, { cause });
  const code = "code" in cause ? String(cause.code) : "";
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return new JetStreamStoreError(
      "auth",
      `NATS at ${server.url} refused the credentials: check SUPERCHECK_NATS_CREDS, _TOKEN, _USER or _NKEY_SEED`,
      {
        cause,
      },
    );
  }
  if (cause.name === "NotCapable") {
    const flag = /--allow-\w+/.exec(cause.message)?.[0] ?? "--allow-net";
    return new JetStreamStoreError(
      "net_permission",
      `The runtime does not allow the connection to NATS at ${server.url}: run with ${flag}`,
      {
        cause,
      },
    );
  }
  if (["ENOENT", "EACCES", "EISDIR"].includes(code)) {
    return new JetStreamStoreError("auth", `A file of credentials or certificates cannot be read (${cause.message})`, {
      cause,
    });
  }
  if (/cert|tls|ssl|alert|self.signed/i.test(`${code} ${cause.message}`)) {
    return new JetStreamStoreError(
      "tls",
      `TLS with NATS at ${server.url} failed (${cause.message}): check SUPERCHECK_NATS_TLS_CA, _CERT and _KEY`,
      {
        cause,
      },
    );
  }
  return new Error(`NATS at ${server.url} is away (${cause.message || cause.name})`, { cause });
}
