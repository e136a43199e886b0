import { checkDuration, checkSignal, checkString, checkText, MAX_TIMER, wrong } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { findNatsServer } from "./find_nats_server.ts";
import { withFreePorts } from "./_free_ports.ts";
import { NatsServer } from "./nats_server.ts";
import { checkAccess, type NatsServerAuth, type NatsServerTls } from "./server_config.ts";

/**
 * What the options of {@linkcode startNatsServer} and {@linkcode startNatsCluster} have in common.
 *
 * @category Testing
 */
export interface CommonServerOptions {
  /**
   * Directory of the JetStream store, of a cluster the directory with its servers' stores. One that is given stays at disposal.
   * @default a temporary one
   */
  storeDir?: string;
  /**
   * Lines for the end of the generated configuration. A block that is generated (`jetstream`, `tls`, …) would be replaced by a second one.
   * @default none
   */
  config?: string;
  /**
   * How clients identify themselves.
   * @default they need not
   */
  auth?: NatsServerAuth;
  /**
   * TLS for the clients.
   * @default off
   */
  tls?: NatsServerTls;
  /**
   * Longest time until ready, in milliseconds.
   * @default 60_000
   */
  timeout?: number;
  /**
   * Aborting ends the start, and later whatever was started, as disposal does.
   * @default none
   */
  signal?: AbortSignal;
}

/** All names of {@linkcode CommonServerOptions}. */
export const COMMON_OPTIONS: OptionNames<CommonServerOptions> = {
  storeDir: true,
  config: true,
  auth: true,
  tls: true,
  timeout: true,
  signal: true,
};

/**
 * Options of {@linkcode startNatsServer}.
 *
 * @category Testing
 */
export interface NatsServerOptions extends CommonServerOptions {
  /**
   * The client port on 127.0.0.1.
   * @default a free one
   */
  port?: number;
  /**
   * Whether the server takes WebSocket connections, too; a number is the port.
   * @default false
   */
  websocket?: boolean | number;
  /**
   * Whether JetStream is on; a string is lines for the `jetstream` block of the configuration, e.g. `"sync_interval: always"`.
   * @default true
   */
  jetstream?: boolean | string;
  /**
   * The server's name.
   * @default a unique one
   */
  serverName?: string;
}

const OPTIONS: OptionNames<NatsServerOptions> = {
  ...COMMON_OPTIONS,
  port: true,
  websocket: true,
  jetstream: true,
  serverName: true,
};

const DOING = "start the nats-server";

/**
 * Starts a private nats-server: on 127.0.0.1 only, on a free port, with a temporary JetStream store. It is ready when the promise
 * resolves, and gone with its files at disposal, or as soon as this process ends, however it ends.
 *
 * @example
 * ```ts
 * import { startNatsServer } from "@supercheck/jetstream/testing";
 *
 * await using server = await startNatsServer();
 * console.log(server.url, server.version);
 * ```
 *
 * @throws {TypeError | RangeError} When an option is wrong.
 * @throws {AggregateError} When there is no nats-server and none can be installed.
 * @throws {Deno.errors.NotCapable} When a permission is missing.
 * @throws {Error} When the server does not start; the message carries what it logged.
 *
 * @category Testing
 */
export async function startNatsServer(given?: NatsServerOptions): Promise<NatsServer> {
  const options = checkOptions(given, OPTIONS, DOING);
  const { port, serverName = `test-${crypto.randomUUID()}`, websocket = false, jetstream = true } = options;
  const { storeDir, config = "", auth, tls, timeout = 60_000, signal } = options;
  if (port !== undefined) checkPort("port", port);
  if (typeof websocket !== "boolean") checkPort("websocket", websocket);
  if (typeof jetstream !== "boolean") checkString(jetstream, DOING, "jetstream");
  checkText(serverName, DOING, "serverName");
  checkCommonOptions(options, DOING);
  const program = await findNatsServer({ signal });
  return await withFreePorts(3, ([clientPort, monitorPort, websocketPort]) =>
    NatsServer.start({
      program,
      name: serverName,
      port: port ?? clientPort,
      monitorPort,
      websocketPort: websocket === true ? websocketPort : websocket === false ? undefined : websocket,
      storeDir,
      jetstream,
      auth,
      tls,
      extra: config,
      timeout,
      signal,
    }));
}

/**
 * Checks what the options of one server and of a cluster have in common.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkCommonOptions(options: CommonServerOptions, doing: string): void {
  const { storeDir, config, auth, tls, timeout, signal } = options;
  if (storeDir !== undefined) checkText(storeDir, doing, "storeDir");
  if (config !== undefined) checkString(config, doing, "config");
  checkAccess(auth, tls, doing);
  if (timeout !== undefined) checkDuration(timeout, doing, "timeout", 0, MAX_TIMER);
  if (signal !== undefined) checkSignal(signal, doing);
}

function checkPort(option: string, value: unknown): void {
  if (Number.isInteger(value) && value as number >= 1 && value as number <= 65_535) return;
  throw wrong(RangeError, `${DOING} as '${option}' must be a port from 1 to 65535`, value);
}
