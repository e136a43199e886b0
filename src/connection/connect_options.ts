/** Where and how to connect. Whatever is given here takes the place of the environment; with `servers`, nothing of it is used. */
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
   * Paths of PEM files: the authority to trust, and the client's certificate and key. Not for `ws://` and `wss://`: there the runtime's own
   * settings hold (`DENO_CERT`).
   */
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
  /**
   * Milliseconds between two signs of life that are asked of the server. After three such intervals without one the connection counts as lost.
   *
   * @default {10_000}
   */
  pingInterval?: number;
}

/** Texts among the options. Their values may be secrets, so no message shows them. */
const TEXTS = ["creds", "token", "user", "password", "nkeySeed", "name"] as const;

/**
 * Checks what can be checked without looking at the environment.
 *
 * @throws {TypeError | RangeError} If an option is wrong.
 */
export function checkConnectOptions(options: ConnectOptions): void {
  for (const option of TEXTS) checkText(option, options[option]);
  const { servers, tls, inboxPrefix, connectTimeout, pingInterval } = options;
  for (const server of Array.isArray(servers) ? servers : [servers]) checkText("servers", server);
  if (tls !== undefined && (typeof tls !== "object" || tls === null)) {
    throw new TypeError(`Cannot connect as 'tls' must be an object of paths: current value is of type ${typeof tls}`);
  }
  for (const option of ["ca", "cert", "key"] as const) checkText(`tls.${option}`, tls?.[option]);
  checkMilliseconds("connectTimeout", connectTimeout);
  checkMilliseconds("pingInterval", pingInterval);
  checkText("inboxPrefix", inboxPrefix);
  if (inboxPrefix !== undefined && !/^[^\s.*>]+(\.[^\s.*>]+)*$/.test(inboxPrefix)) {
    throw new RangeError(
      `Cannot connect as 'inboxPrefix' must be a subject without wildcards: current value is "${inboxPrefix}"`,
    );
  }
}

function checkText(option: string, value: unknown): void {
  if (value === undefined || (typeof value === "string" && value !== "")) return;
  throw new TypeError(
    `Cannot connect as '${option}' must be a non-empty string: current value is ${
      value === "" ? "empty" : `of type ${value === null ? "null" : typeof value}`
    }`,
  );
}

function checkMilliseconds(option: string, value: unknown): void {
  // Timers wrap around above this.
  if (value === undefined || (typeof value === "number" && value > 0 && value <= 2 ** 31 - 1)) return;
  throw new RangeError(`Cannot connect as '${option}' must be > 0 and ≤ ${2 ** 31 - 1} ms: current value is ${value}`);
}
