import { errors, type NatsConnection } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import { isAllowed } from "../settings.ts";
import type { ConnectTarget } from "./_connect_target.ts";
import { openConnection } from "./nats/open_connection.ts";
import type { TargetServer } from "./_server_url.ts";
import { SocketTransport } from "./nats/socket_transport.ts";
import { tlsFailure } from "./nats/tls_failure.ts";
import { WebsocketTransport } from "./nats/websocket_transport.ts";

/**
 * One attempt: each server in random order, until one lets us in.
 *
 * @param announced Servers that the cluster announced (`host:port`), tried after the configured ones.
 * @param stop Gives the attempt up at once.
 * @throws {JetStreamStoreError} If a retry cannot help by itself: credentials or TLS refused, the runtime does not allow it.
 * @throws {Error} If no server can be reached.
 */
export async function dial(target: ConnectTarget, announced: string[], stop: AbortSignal): Promise<NatsConnection> {
  let failure: Error | undefined;
  for (const server of [...shuffled(target.servers), ...announcedServers(target, announced)]) {
    try {
      return await dialServer(target, server, stop);
    } catch (error) {
      if (stop.aborted) throw error;
      if (!(failure instanceof JetStreamStoreError)) failure = error as Error;
    }
  }
  throw failure;
}

const TLS_ADVICE = "check SUPERCHECK_NATS_TLS_CA, _CERT and _KEY, and that the server speaks TLS";
const WEBSOCKET_ADVICE = "check DENO_CERT (the authority to trust), and that the server speaks TLS";
const NO_GREETING =
  ": it accepts connections and sends nothing, as a server does that wants the TLS handshake first (tls://)";

async function dialServer(
  target: ConnectTarget,
  server: TargetServer,
  stop: AbortSignal,
  awaitsRefusal = false,
): Promise<NatsConnection> {
  const { url, host, websocket } = server;
  checkAllowed(server);
  const options = { ...await target.natsOptions(host), servers: [url] };
  if (websocket) {
    return await openConnection(options, new WebsocketTransport(), stop).catch((error) => {
      throw dialFailure(error, host, { advice: WEBSOCKET_ADVICE });
    });
  }
  const transport = new SocketTransport(target.tlsStarts.of(host), awaitsRefusal);
  try {
    const nc = await openConnection(options, transport, stop);
    target.tlsStarts.connected(host, transport.tlsFirst);
    return nc;
  } catch (error) {
    const failure = dialFailure(error, host, {
      advice: TLS_ADVICE,
      isSilent: transport.isSilent && !options.tls,
    });
    const wasLate = target.tlsStarts.failed(host, transport.tlsFirst, failure);
    const isHidden = transport.mayHideRefusal && !(failure instanceof JetStreamStoreError);
    // The greeting was late, or the server's reason may be lost: it is waited for now.
    if ((wasLate || isHidden) && !stop.aborted) return await dialServer(target, server, stop, isHidden);
    throw failure;
  }
}

function shuffled(servers: TargetServer[]): TargetServer[] {
  return servers.map((server) => ({ server, rank: Math.random() })).sort((a, b) => a.rank - b.rank).map(({ server }) =>
    server
  );
}

/** Announced servers are optional: those that the runtime does not allow are left out. */
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

/** What is known of a connection that failed. */
interface FailedConnection {
  /** What to check where TLS failed. */
  advice: string;
  /** Whether the server has accepted a connection without TLS, and sent nothing. */
  isSilent?: boolean;
}

/** A {@linkcode JetStreamStoreError} where a person has to mend something, else an error that says what cannot be reached. */
function dialFailure(error: unknown, host: string, { advice, isSilent = false }: FailedConnection): Error {
  if (error instanceof JetStreamStoreError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = "code" in cause ? String(cause.code) : "";
  const reason = cause.message || code || cause.name;
  if (isRefusal(cause)) {
    return new JetStreamStoreError(
      "auth",
      `NATS at ${host} refused the credentials (${reason}): check SUPERCHECK_NATS_CREDS, _TOKEN, _USER, _PASSWORD or _NKEY_SEED`,
      { cause },
    );
  }
  if (cause.name === "NotCapable") {
    return new JetStreamStoreError(
      "net_permission",
      `The runtime does not allow the connection to NATS at ${host} (${reason})`,
      { cause },
    );
  }
  const tls = tlsFailure(code, reason);
  if (tls !== null) {
    return new JetStreamStoreError(
      "tls",
      `TLS with NATS at ${host} failed, as ${tls}: ${advice}`,
      { cause },
    );
  }
  return new Error(`NATS at ${host} is unreachable (${reason})${isSilent ? NO_GREETING : ""}`, { cause });
}

function isRefusal(error: Error): boolean {
  // So a server says that it had to wait for too long, which is no judgement on the credentials.
  if (/authentication timeout/i.test(error.message)) return false;
  return error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError ||
    (error instanceof errors.ProtocolError && /authenti|authoriz/i.test(error.message));
}
