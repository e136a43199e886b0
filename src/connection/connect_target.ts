import type { Authenticator, ConnectionOptions } from "@nats-io/nats-core";
import { credsAuthenticator, nkeyAuthenticator, nkeys } from "@nats-io/nats-core";
import { readFile } from "node:fs/promises";
import { wrong } from "../checks.ts";
import { JetStreamStoreError } from "../errors.ts";
import { isAllowed, type Settings } from "../settings.ts";
import type { ConnectOptions } from "./connect_options.ts";
import { serverUrl, type TargetServer, type WrittenServer } from "./server_url.ts";

/** A checked target: where to connect, and how to get in each time. */
export interface ConnectTarget {
  servers: TargetServer[];
  connectTimeout: number;
  /** Whether servers that the cluster announces may be used, too: with TLS their names are not known to be in the certificate. */
  followsCluster: boolean;
  /** Equal for equal targets. It holds secrets. */
  identity: string;
  /**
   * How to get in at one server (`name:port`): as its own URL says, or the first URL that says so. Files are read anew for each attempt, since
   * credentials and certificates are renewed in place.
   */
  natsOptions(host: string): Promise<ConnectionOptions>;
}

/** How messages call what came from the environment. */
const VARIABLES = {
  servers: "SUPERCHECK_NATS_URL",
  nkeySeed: "SUPERCHECK_NATS_NKEY_SEED",
  tls: "SUPERCHECK_NATS_TLS_CA, _CERT and _KEY",
};

/**
 * Completes checked options from the environment.
 *
 * @returns The target, or `null` when no server is configured.
 * @throws {RangeError} If a server, a seed or a combination is wrong.
 */
export function connectTarget(options: ConnectOptions, settings: Settings): ConnectTarget | null {
  const { name = "supercheck", inboxPrefix = "_INBOX", connectTimeout = 2_000, pingInterval = 10_000 } = options;
  const way = options.servers === undefined ? { ...fromEnvironment(settings), ...defined(options) } : options;
  if (way.servers === undefined) return null;
  const called = (option: keyof typeof VARIABLES) => options[option] === undefined ? VARIABLES[option] : `'${option}'`;
  const servers = listServers(way.servers, called("servers"));
  const websockets = servers.filter((server) => server.websocket).length;
  if (websockets !== 0 && websockets !== servers.length) {
    throw new RangeError(
      `Cannot connect as ${
        called("servers")
      } must not mix websocket (ws://, wss://) and plain (nats://, tls://) servers`,
    );
  }
  const { tls, creds, nkeySeed } = way;
  if (tls !== undefined && websockets > 0) {
    throw new RangeError(
      `Cannot connect as ${called("tls")} must not be given for websockets: set DENO_CERT for the authority to trust`,
    );
  }
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) {
    throw new RangeError(`Cannot connect as of ${called("tls")} the certificate and the key must be given together`);
  }
  if (nkeySeed !== undefined) checkSeed(nkeySeed, called("nkeySeed"));
  const secure = servers.some((server) => server.secure) || tls !== undefined;
  return {
    servers,
    connectTimeout,
    followsCluster: !secure && websockets === 0,
    identity: JSON.stringify([servers, tls, creds, nkeySeed, way.user, way.password, way.token, name, inboxPrefix]),
    natsOptions: async (host) => {
      const logins = servers.filter((server) => server.user !== undefined);
      const { user, password, token } = loginOf(way, logins.find((server) => server.host === host) ?? logins[0]);
      const authenticator: Authenticator[] = [];
      if (creds !== undefined) authenticator.push(await readCreds(creds));
      if (nkeySeed !== undefined) authenticator.push(nkeyAuthenticator(new TextEncoder().encode(nkeySeed)));
      return {
        name,
        inboxPrefix,
        timeout: connectTimeout,
        // Reconnecting is the keeper's: one loop for the first and for every later attempt.
        reconnect: false,
        resolve: false,
        pingInterval,
        maxPingOut: 2,
        noAsyncTraces: true,
        ...(authenticator.length > 0 && { authenticator }),
        ...(token !== undefined && { token }),
        ...(user !== undefined && { user, pass: password }),
        ...(secure && { tls: await readTls(tls) }),
      };
    },
  };
}

/** What to say of oneself; options come before the URL. */
function loginOf(
  way: ConnectOptions,
  url: WrittenServer | undefined,
): Pick<ConnectOptions, "user" | "password" | "token"> {
  // A user for whom there is no password is a token.
  const isToken = url?.password === undefined && (way.password === undefined || way.user !== undefined);
  return {
    user: way.user ?? (isToken ? undefined : url?.user),
    password: way.password ?? url?.password,
    token: way.token ?? (isToken ? url?.user : undefined),
  };
}

function listServers(written: string | string[], called: string): WrittenServer[] {
  const texts = (Array.isArray(written) ? written : written.split(",")).map((text) => text.trim()).filter(Boolean);
  if (texts.length === 0) {
    throw new RangeError(`Cannot connect as ${called} must name at least one server: it is empty`);
  }
  return texts.map((text) => {
    const server = serverUrl(text);
    if (server) return server;
    throw wrong(
      RangeError,
      `connect as each of ${called} must look like nats://host:port (or tls://, ws://, wss://)`,
      // Whatever stands before the host may be a secret.
      text.replace(/^(\w+:\/\/)?.*@/s, "$1…@"),
    );
  });
}

function checkSeed(seed: string, called: string): void {
  try {
    if (nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey().startsWith("U")) return;
  } catch {
    // The error might show a part of the seed.
  }
  throw new RangeError(`Cannot connect as ${called} must be the seed of a user (SU…): the current value is not shown`);
}

async function readCreds(path: string): Promise<Authenticator> {
  const authenticator = credsAuthenticator(await readFileFor("auth", path));
  try {
    authenticator("a nonce");
  } catch {
    // Without its cause, which might show what is in the file.
    throw new JetStreamStoreError(
      "auth",
      `The file ${path} holds no NATS credentials (a JWT and the seed of its user)`,
    );
  }
  return authenticator;
}

async function readTls(paths: ConnectOptions["tls"] = {}): Promise<NonNullable<ConnectionOptions["tls"]>> {
  const files = Object.entries(defined(paths)).map(async ([option, path]) => [option, await readFileFor("tls", path)]);
  return Object.fromEntries(await Promise.all(files));
}

/**
 * Reads a file of credentials or certificates.
 *
 * @param code What is refused without it.
 * @throws {JetStreamStoreError} If it cannot be read.
 */
async function readFileFor(code: "auth" | "tls", path: string): Promise<Uint8Array> {
  if (!isAllowed({ name: "read", path })) {
    throw new JetStreamStoreError(
      "net_permission",
      `The runtime does not allow to read the file ${path}: run with --allow-read=${path}`,
    );
  }
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : cause;
    throw new JetStreamStoreError(code, `The file ${path} cannot be read: ${reason}`, { cause });
  }
}

function fromEnvironment(settings: Settings): ConnectOptions {
  const servers = settings.text("SUPERCHECK_NATS_URL");
  const tls = defined({
    ca: settings.text("SUPERCHECK_NATS_TLS_CA"),
    cert: settings.text("SUPERCHECK_NATS_TLS_CERT"),
    key: settings.text("SUPERCHECK_NATS_TLS_KEY"),
  });
  return defined({
    // Without a name between the commas, none is configured.
    servers: servers && /[^\s,]/.test(servers) ? servers : undefined,
    creds: settings.text("SUPERCHECK_NATS_CREDS"),
    token: settings.text("SUPERCHECK_NATS_TOKEN"),
    user: settings.text("SUPERCHECK_NATS_USER"),
    password: settings.text("SUPERCHECK_NATS_PASSWORD"),
    nkeySeed: settings.text("SUPERCHECK_NATS_NKEY_SEED"),
    tls: Object.keys(tls).length > 0 ? tls : undefined,
  });
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
