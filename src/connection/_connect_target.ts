import type { Authenticator, ConnectionOptions } from "@nats-io/nats-core";
import { nkeyAuthenticator } from "@nats-io/nats-core";
import { createHash } from "node:crypto";
import type { Settings } from "../settings.ts";
import { apiPrefixOf } from "./_api_prefix.ts";
import type { ConnectOptions, TlsOptions } from "./connect_options.ts";
import { isUserSeed, readCreds } from "./_creds_file.ts";
import { checkPath, readSecretFile } from "./_secret_file.ts";
import { serverList } from "./_server_list.ts";
import type { ConfiguredServer, TargetServer } from "./_server_url.ts";
import { TlsStarts } from "./nats/tls_starts.ts";

/** A checked target: where to connect, and how to get in each time. */
export interface ConnectTarget {
  servers: TargetServer[];
  connectTimeout: number;
  /** Whether servers that the cluster announces may be used, too: with TLS their names are not known to be in the certificate. */
  followsCluster: boolean;
  /** Prefix of the JetStream API; by default that of the connected server. */
  apiPrefix: string | undefined;
  /** Equal for equal targets. */
  identity: string;
  /** When the TLS handshake with each server begins. */
  tlsStarts: TlsStarts;
  /**
   * How to get in at one server (`name:port`): as its own URL says, or the first URL that says so. Files are read anew for each attempt, since
   * credentials and certificates are renewed in place.
   */
  natsOptions(host: string): Promise<ConnectionOptions>;
}

/** How messages call what came from the environment. */
const VARIABLES = {
  servers: "SUPERCHECK_NATS_URL",
  creds: "SUPERCHECK_NATS_CREDS",
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
  const { connectTimeout = 2_000, name = "supercheck", inboxPrefix = "_INBOX" } = options;
  const login = options.servers === undefined ? { ...fromEnvironment(settings), ...defined(options) } : options;
  if (login.servers === undefined) return null;
  const called = (option: keyof typeof VARIABLES) => options[option] === undefined ? VARIABLES[option] : `'${option}'`;
  const servers = serverList(login.servers, called("servers"));
  const apiPrefix = apiPrefixOf(options, settings);
  const isWebsocket = servers[0].websocket;
  checkLogin(login, isWebsocket, called);
  const { tls, creds, nkeySeed, user, password, token } = login;
  const secure = servers.some((server) => server.secure) || tls !== undefined;
  const identity = [servers, tls, creds, nkeySeed, user, password, token, name, inboxPrefix, apiPrefix];
  return {
    servers,
    connectTimeout,
    apiPrefix,
    followsCluster: !secure && !isWebsocket,
    identity: digestOf(identity),
    tlsStarts: new TlsStarts(tls?.handshakeFirst),
    natsOptions: async (host) => ({
      name,
      inboxPrefix,
      timeout: connectTimeout,
      pingInterval: options.pingInterval ?? 10_000,
      maxPingOut: 2,
      // Reconnecting is the keeper's: one loop for the first and for every later attempt.
      reconnect: false,
      resolve: false,
      noAsyncTraces: true,
      ...await authenticationAt(host, login, servers),
      ...(secure && { tls: await readTls(tls) }),
    }),
  };
}

/** @throws {RangeError} If a seed, a path or a combination is wrong. */
function checkLogin(
  { tls, creds, nkeySeed }: ConnectOptions,
  isWebsocket: boolean,
  called: (option: keyof typeof VARIABLES) => string,
): void {
  if (tls !== undefined && isWebsocket) {
    throw new RangeError(
      `Cannot connect as ${called("tls")} must not be given for websockets: set DENO_CERT for the authority to trust`,
    );
  }
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) {
    throw new RangeError(`Cannot connect as of ${called("tls")} the certificate and the key must be given together`);
  }
  if (nkeySeed !== undefined) checkSeed(nkeySeed, called("nkeySeed"));
  if (creds !== undefined) checkPath(creds, called("creds"));
  for (const path of [tls?.ca, tls?.cert, tls?.key]) {
    if (path !== undefined) checkPath(path, `each of ${called("tls")}`);
  }
}

/** What authenticates at one server: its own URL comes first, else the first URL that has a user. */
async function authenticationAt(
  host: string,
  login: ConnectOptions,
  servers: ConfiguredServer[],
): Promise<ConnectionOptions> {
  const urls = servers.filter((server) => server.user !== undefined);
  const { user, password, token } = loginOf(login, urls.find((server) => server.host === host) ?? urls[0]);
  const authenticator: Authenticator[] = [];
  if (login.creds !== undefined) authenticator.push(await readCreds(login.creds));
  if (login.nkeySeed !== undefined) authenticator.push(nkeyAuthenticator(new TextEncoder().encode(login.nkeySeed)));
  return {
    ...(authenticator.length > 0 && { authenticator }),
    ...(token !== undefined && { token }),
    ...(user !== undefined && { user, pass: password }),
  };
}

/** User, password and token; options come before the URL. */
function loginOf(
  login: ConnectOptions,
  url: ConfiguredServer | undefined,
): Pick<ConnectOptions, "user" | "password" | "token"> {
  // A user for whom there is no password is a token.
  const isToken = url?.password === undefined && (login.password === undefined || login.user !== undefined);
  return {
    user: login.user ?? (isToken ? undefined : url?.user),
    password: login.password ?? url?.password,
    token: login.token ?? (isToken ? url?.user : undefined),
  };
}

/** Tells equal values from others, without keeping the secrets that are among them. */
function digestOf(values: unknown[]): string {
  return createHash("sha256").update(JSON.stringify(values)).digest("base64");
}

function checkSeed(seed: string, called: string): void {
  if (isUserSeed(seed)) return;
  throw new RangeError(`Cannot connect as ${called} must be the seed of a user (SU…): the current value is not shown`);
}

async function readTls(
  { handshakeFirst: _, ...paths }: TlsOptions = {},
): Promise<NonNullable<ConnectionOptions["tls"]>> {
  const files = Object.entries(defined(paths)).map(async ([option, path]) => [
    option,
    await readSecretFile("tls", path),
  ]);
  return Object.fromEntries(await Promise.all(files));
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
