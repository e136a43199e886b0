import { checkBoolean, checkObject, checkText, wrongType } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { shownName } from "../shown.ts";

/**
 * How clients of a {@linkcode NatsServer} identify themselves. `nkey` is the public key (`U…`) of a user. For users with `.creds` files `operator` is the
 * operator's JWT, and `accounts` has the JWT of each account under the account's public key (`A…`).
 *
 * @category Testing
 */
export type NatsServerAuth =
  | { token: string }
  | { user: string; password: string }
  | { nkey: string }
  | { operator: string; accounts: Record<string, string>; systemAccount?: string };

/**
 * Paths of PEM files that switch on TLS.
 *
 * @category Testing
 */
export interface NatsServerTls {
  /** The server's certificate. */
  cert: string;
  /** The key of the server's certificate. */
  key: string;
  /** The authority that signed the clients' certificates. */
  ca?: string;
  /**
   * Whether clients must show a certificate that `ca` signed.
   * @default false
   */
  verify?: boolean;
}

const TLS: OptionNames<NatsServerTls> = { cert: true, key: true, ca: true, verify: true };

/** The ways to identify oneself: the texts that each must have, and those that it may. */
const WAYS = [
  { needs: ["token"], takes: ["token"] },
  { needs: ["user", "password"], takes: ["user", "password"] },
  { needs: ["nkey"], takes: ["nkey"] },
  { needs: ["operator"], takes: ["operator", "accounts", "systemAccount"] },
];

/**
 * Checks how clients get in.
 *
 * @throws {TypeError} Naming the option and the rule, and no secret.
 */
export function checkAccess(auth: NatsServerAuth | undefined, tls: NatsServerTls | undefined, doing: string): void {
  if (auth !== undefined) checkAuth(auth, doing);
  if (tls === undefined) return;
  const { cert, key, ca, verify } = checkOptions(tls, TLS, doing, "'tls'");
  checkText(cert, doing, "tls.cert");
  checkText(key, doing, "tls.key");
  if (ca !== undefined) checkText(ca, doing, "tls.ca");
  if (verify !== undefined) checkBoolean(verify, doing, "tls.verify");
}

function checkAuth(auth: NatsServerAuth, doing: string): void {
  checkObject(auth, doing, "auth");
  const given = Object.keys(auth);
  const way = WAYS.find(({ needs, takes }) =>
    needs.every((name) => given.includes(name)) && given.every((name) => takes.includes(name))
  );
  if (!way) {
    const rule = "{ token }, { user, password }, { nkey } or { operator, accounts, systemAccount? }";
    throw new TypeError(
      `Cannot ${doing} as 'auth' must be ${rule}: current value has ${given.map(shownName).join(", ")}`,
    );
  }
  for (const [name, value] of Object.entries(auth)) {
    if (name === "accounts") checkObject(value, doing, "auth.accounts");
    else if (typeof value !== "string") throw wrongType(`${doing} as 'auth.${name}' must be a string`, value);
  }
}

/** Everything the configuration of one server is made of. */
export interface ServerConfig {
  name: string;
  port: number;
  monitorPort: number;
  websocketPort?: number;
  storeDir: string;
  jetstream: boolean | string;
  auth?: NatsServerAuth;
  tls?: NatsServerTls;
  cluster?: { name: string; port: number; routes: number[] };
  extra: string;
}

/** Writes the configuration file of a nats-server. */
export function serverConfig(config: ServerConfig): string {
  const { name, port, monitorPort, websocketPort, storeDir, jetstream, auth, tls, cluster, extra } = config;
  return [
    `server_name: ${quote(name)}`,
    `listen: "127.0.0.1:${port}"`,
    `http: "127.0.0.1:${monitorPort}"`,
    jetstream === false
      ? ""
      : block("jetstream", [`store_dir: ${quote(storeDir)}`, jetstream === true ? "" : jetstream]),
    websocketPort === undefined
      ? ""
      : block("websocket", [`listen: "127.0.0.1:${websocketPort}"`, ...tls ? [tlsBlock(tls)] : ["no_tls: true"]]),
    tls ? tlsBlock(tls) : "",
    cluster
      ? block("cluster", [
        `name: ${quote(cluster.name)}`,
        `listen: "127.0.0.1:${cluster.port}"`,
        `routes: [${cluster.routes.map((route) => `"nats://127.0.0.1:${route}"`).join(", ")}]`,
      ])
      : "",
    auth ? authLines(auth) : "",
    extra,
  ].filter((part) => part !== "").join("\n") + "\n";
}

function tlsBlock({ cert, key, ca, verify = false }: NatsServerTls): string {
  const authority = ca === undefined ? "" : `ca_file: ${quote(ca)}`;
  return block("tls", [`cert_file: ${quote(cert)}`, `key_file: ${quote(key)}`, authority, `verify: ${verify}`]);
}

function authLines(auth: NatsServerAuth): string {
  if ("token" in auth) return block("authorization", [`token: ${quote(auth.token)}`]);
  if ("user" in auth) {
    return block("authorization", [`user: ${quote(auth.user)}`, `password: ${quote(auth.password)}`]);
  }
  if ("nkey" in auth) return block("authorization", [`users: [{ nkey: ${quote(auth.nkey)} }]`]);
  const accounts = Object.entries(auth.accounts).map(([key, jwt]) => `${key}: ${quote(jwt)}`);
  return [
    `operator: ${quote(auth.operator)}`,
    auth.systemAccount === undefined ? "" : `system_account: ${quote(auth.systemAccount)}`,
    "resolver: MEMORY",
    block("resolver_preload", accounts),
  ].join("\n");
}

function block(name: string, lines: string[]): string {
  return `${name} {\n${lines.filter((line) => line !== "").map((line) => `  ${line}`).join("\n")}\n}`;
}

/** A string of the configuration language: double quotes, with `\` as the escape. */
function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}
