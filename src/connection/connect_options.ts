import { checkSecret, MAX_TIMER, wrong, wrongType } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { checkApiPrefix } from "./_api_prefix.ts";
import { checkPath } from "./_secret_file.ts";

/**
 * How a connection uses TLS.
 *
 * @category Connection
 */
export interface TlsOptions {
  /** Path of a PEM file with the authority to trust. */
  ca?: string;
  /** Path of a PEM file with the client's certificate; together with `key`. */
  cert?: string;
  /** Path of a PEM file with the key of `cert`. */
  key?: string;
  /**
   * Whether the TLS handshake comes before the server's greeting, as servers with `tls { handshake_first: true }` want it. By default that is found
   * out, which takes up to 1000 ms at the first connection to such a server.
   *
   * @default {found out}
   */
  handshakeFirst?: boolean;
}

/**
 * Where and how to connect. Each option replaces its variable; with `servers`, no variable of the connection is used.
 *
 * @category Connection
 */
export interface ConnectOptions {
  /**
   * Servers of one NATS system: `nats://host:port`, `tls://…`, `ws://…` or `wss://…`; one, a list, or a comma-separated string.
   *
   * @default {SUPERCHECK_NATS_URL}
   */
  servers?: string | string[];
  /** Path of a `.creds` file. It is read for each attempt to connect, as are the files of `tls`: renewed ones count without a restart. */
  creds?: string;
  /** Token. */
  token?: string;
  /** User name. */
  user?: string;
  /** Password of `user`. */
  password?: string;
  /** Seed of an nkey (`SU…`). */
  nkeySeed?: string;
  /**
   * Requires TLS, and says how. Not for `ws://` and `wss://`: there the runtime's own settings hold (`DENO_CERT`).
   *
   * @default {SUPERCHECK_NATS_TLS_CA, _CERT and _KEY}
   */
  tls?: TlsOptions;
  /**
   * JetStream domain that keeps the data, when another one than that of the connected server: for instance that of the hub, over a leafnode.
   *
   * @default {SUPERCHECK_NATS_DOMAIN}
   */
  domain?: string;
  /**
   * Prefix of the JetStream API, where it is imported from another account under a prefix; in place of `domain`, which stands for
   * `$JS.<domain>.API`.
   *
   * @default {SUPERCHECK_NATS_API_PREFIX}
   */
  apiPrefix?: string;
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
  /**
   * Milliseconds between two signs of life that are asked of the server. After three such intervals without one the connection counts as lost.
   *
   * @default {10_000}
   */
  pingInterval?: number;
}

/** All names of {@linkcode ConnectOptions}. */
export const CONNECT_OPTIONS: OptionNames<ConnectOptions> = {
  servers: true,
  creds: true,
  token: true,
  user: true,
  password: true,
  nkeySeed: true,
  tls: true,
  domain: true,
  apiPrefix: true,
  name: true,
  inboxPrefix: true,
  connectTimeout: true,
  pingInterval: true,
};

const TLS_OPTIONS: OptionNames<TlsOptions> = { ca: true, cert: true, key: true, handshakeFirst: true };

const DOING = "connect";

/** Texts among the options. Any of their values may be a secret. */
const TEXTS = ["token", "user", "password", "nkeySeed", "domain", "apiPrefix", "name", "inboxPrefix"] as const;

/**
 * The options, checked as far as that can be done without looking at the environment.
 *
 * @throws {TypeError | RangeError} If an option is wrong.
 */
export function checkConnectOptions(given: ConnectOptions | null | undefined): ConnectOptions {
  const options = { ...checkOptions(given, CONNECT_OPTIONS, DOING) };
  if (Array.isArray(options.servers)) options.servers = [...options.servers];
  const { servers, inboxPrefix } = options;
  for (const option of TEXTS) checkUnlessUnset(options[option], option);
  for (const server of Array.isArray(servers) ? servers : [servers]) checkUnlessUnset(server, "servers");
  if (options.tls !== undefined) options.tls = { ...checkOptions(options.tls, TLS_OPTIONS, DOING, "'tls'") };
  const { tls } = options;
  for (const option of ["ca", "cert", "key"] as const) checkPathUnlessUnset(tls?.[option], `tls.${option}`);
  checkPathUnlessUnset(options.creds, "creds");
  if (tls?.handshakeFirst !== undefined && typeof tls.handshakeFirst !== "boolean") {
    throw wrongType(`${DOING} as 'tls.handshakeFirst' must be true or false`, tls.handshakeFirst);
  }
  for (const option of ["connectTimeout", "pingInterval"] as const) {
    const ms: unknown = options[option];
    if (ms === undefined || (typeof ms === "number" && ms > 0 && ms <= MAX_TIMER)) continue;
    throw wrong(RangeError, `${DOING} as '${option}' must be > 0 and ≤ ${MAX_TIMER} ms`, ms);
  }
  if (inboxPrefix !== undefined && !/^[^\s.*>]+(\.[^\s.*>]+)*$/.test(inboxPrefix)) {
    throw wrong(RangeError, `${DOING} as 'inboxPrefix' must be a subject without wildcards`, inboxPrefix);
  }
  checkApiPrefix(options, { domain: "'domain'", apiPrefix: "'apiPrefix'" });
  return options;
}

function checkUnlessUnset(value: unknown, option: string): void {
  if (value !== undefined) checkSecret(value, DOING, option);
}

function checkPathUnlessUnset(value: unknown, option: string): void {
  if (value === undefined) return;
  checkSecret(value, DOING, option);
  checkPath(value, `'${option}'`);
}
