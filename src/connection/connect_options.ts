import type { Authenticator, ConnectionOptions } from "@nats-io/nats-core";
import { credsAuthenticator, nkeyAuthenticator } from "@nats-io/nats-core";
import { readFile } from "node:fs/promises";
import type { ConnectionVariables } from "../settings.ts";

/** Where and how to connect. Whatever is given here takes the place of the environment; with `servers`, nothing of it is used. */
export interface ConnectOptions {
  /**
   * Servers of one NATS system: `nats://host:port`, `tls://…`, `ws://…` or `wss://…`; one, a list, or a comma-separated string.
   *
   * @default {SUPERCHECK_NATS_URL}
   */
  servers?: string | string[];
  /** Path of a `.creds` file. */
  creds?: string;
  /** Token. */
  token?: string;
  /** User name. */
  user?: string;
  /** Password of `user`. */
  password?: string;
  /** Seed of an nkey (`SU…`). */
  nkeySeed?: string;
  /** Paths of PEM files: the authority to trust, and the client's certificate and key. */
  tls?: { ca?: string; cert?: string; key?: string };
  /**
   * Name under which the server lists this connection.
   *
   * @default {"supercheck"}
   */
  name?: string;
  /**
   * Prefix of the subjects on which replies arrive.
   *
   * @default {"_INBOX"}
   */
  inboxPrefix?: string;
  /**
   * Milliseconds that an attempt to connect to one server, and a caller's wait for the first attempt, may take.
   *
   * @default {2_000}
   */
  connectTimeout?: number;
}

/** A checked target: where to connect, and how to get in each time. */
export interface ConnectTarget {
  servers: TargetServer[];
  connectTimeout: number;
  /** Whether servers that the cluster announces may be used, too: with TLS their names are not known to be in the certificate. */
  followsCluster: boolean;
  /** Files are read anew for each attempt, since credentials and certificates are renewed in place. */
  natsOptions(): Promise<ConnectionOptions>;
}

/** One server of a target. */
export interface TargetServer {
  /** What the NATS client takes. */
  url: string;
  hostname: string;
  port: number;
  websocket: boolean;
}

/**
 * Checks the options and completes them from the environment.
 *
 * @returns The target, or `null` when no server is configured.
 */
export function connectTarget(options: ConnectOptions, variables: () => ConnectionVariables): ConnectTarget | null {
  const { name = "supercheck", inboxPrefix = "_INBOX", connectTimeout = 2_000 } = options;
  if (!Number.isFinite(connectTimeout) || connectTimeout <= 0) {
    throw new RangeError(`Cannot connect as 'connectTimeout' must be > 0 ms: current value is ${connectTimeout}`);
  }
  if (!/^[^\s.*>]+(\.[^\s.*>]+)*$/.test(inboxPrefix)) {
    throw new RangeError(
      `Cannot connect as 'inboxPrefix' must be a subject without wildcards: current value is "${inboxPrefix}"`,
    );
  }
  const way = options.servers === undefined ? { ...fromEnvironment(variables()), ...defined(options) } : options;
  if (way.servers === undefined) return null;
  const urls = (Array.isArray(way.servers) ? way.servers : way.servers.split(",")).map(parseServer);
  if (urls.length === 0) throw new RangeError("Cannot connect as 'servers' must name at least one server: it is empty");
  const websockets = urls.filter((url) => url.websocket).length;
  if (websockets !== 0 && websockets !== urls.length) {
    throw new RangeError(
      "Cannot connect as 'servers' must not mix websocket (ws://, wss://) and plain (nats://, tls://) servers",
    );
  }
  const login = urls.find((url) => url.user !== undefined);
  const user = way.user ?? (login?.password === undefined ? undefined : login.user);
  const password = way.password ?? login?.password;
  const token = way.token ?? (login !== undefined && login.password === undefined ? login.user : undefined);
  const secure = urls.some((url) => url.secure) || way.tls !== undefined;
  return {
    servers: urls.map(({ url, hostname, port, websocket }) => ({ url, hostname, port, websocket })),
    connectTimeout,
    followsCluster: !secure && websockets === 0,
    natsOptions: async () => {
      const authenticator: Authenticator[] = [];
      if (way.creds !== undefined) authenticator.push(credsAuthenticator(await readFile(way.creds)));
      if (way.nkeySeed !== undefined) authenticator.push(nkeyAuthenticator(new TextEncoder().encode(way.nkeySeed)));
      return {
        name,
        inboxPrefix,
        timeout: connectTimeout,
        // Reconnecting is the keeper's: one loop for the first and for every later attempt.
        reconnect: false,
        resolve: false,
        pingInterval: 10_000,
        maxPingOut: 2,
        noAsyncTraces: true,
        ...(authenticator.length > 0 && { authenticator }),
        ...(token !== undefined && { token }),
        ...(user !== undefined && { user, pass: password }),
        ...(secure && websockets === 0 && { tls: await readTls(way.tls) }),
      };
    },
  };
}

async function readTls(paths: ConnectOptions["tls"] = {}): Promise<NonNullable<ConnectionOptions["tls"]>> {
  const pem = async (path: string | undefined) => path === undefined ? undefined : await readFile(path, "utf8");
  const [ca, cert, key] = await Promise.all([pem(paths.ca), pem(paths.cert), pem(paths.key)]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

function fromEnvironment(variables: ConnectionVariables): ConnectOptions {
  const { tlsCa: ca, tlsCert: cert, tlsKey: key, ...rest } = variables;
  return { ...defined(rest), ...((ca ?? cert ?? key) !== undefined && { tls: defined({ ca, cert, key }) }) };
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

interface ParsedServer extends TargetServer {
  secure: boolean;
  user: string | undefined;
  password: string | undefined;
}

function parseServer(text: string): ParsedServer {
  const trimmed = text.trim();
  // As "http:" the hostname is parsed by the same rules under every scheme.
  const [scheme, rest] = /^\w+:\/\//.test(trimmed) ? trimmed.split("://", 2) : ["nats", trimmed];
  const url = URL.parse(`http://${rest}`);
  if (!url || url.hostname === "" || !["nats", "tls", "ws", "wss"].includes(scheme)) {
    // The text may hold a password, so the message must not.
    throw new RangeError(
      "Cannot connect as each of 'servers' must look like nats://host:port (or tls://, ws://, wss://)",
    );
  }
  const websocket = scheme === "ws" || scheme === "wss";
  const port = Number(url.port) || (websocket ? (scheme === "ws" ? 80 : 443) : 4222);
  const path = url.pathname === "/" ? "" : url.pathname;
  return {
    url: websocket ? `${scheme}://${url.hostname}:${port}${path}` : `${url.hostname}:${port}`,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port,
    websocket,
    secure: scheme === "tls",
    user: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
  };
}
