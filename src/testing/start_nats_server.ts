import { findNatsServer } from "./find_nats_server.ts";
import { freePorts } from "./_free_ports.ts";
import { NatsServer } from "./nats_server.ts";
import type { NatsServerAuth, NatsServerTls } from "./_server_config.ts";

/** Options of {@linkcode startNatsServer}. */
export interface NatsServerOptions {
  /**
   * The client port on 127.0.0.1.
   * @default a free one
   */
  port?: number;
  /**
   * Directory of the JetStream store; kept at disposal when it is given.
   * @default a temporary one
   */
  storeDir?: string;
  /**
   * Lines to add to the end of the generated configuration.
   * @default none
   */
  config?: string;
  /**
   * How clients identify themselves.
   * @default they need not
   */
  auth?: NatsServerAuth;
  /**
   * TLS for clients.
   * @default off
   */
  tls?: NatsServerTls;
  /**
   * Whether the server listens for WebSocket connections, too; a number is the port.
   * @default false
   */
  websocket?: boolean | number;
  /**
   * Whether JetStream is on; a string is lines to add to the `jetstream` block of the configuration, e.g. `"sync_interval: always"`.
   * @default true
   */
  jetstream?: boolean | string;
  /**
   * The server's name.
   * @default a unique one
   */
  serverName?: string;
  /**
   * Longest time until the server is ready, in milliseconds.
   * @default 20_000
   */
  timeout?: number;
  /**
   * Aborting stops the start, and later the server as its disposal does.
   * @default none
   */
  signal?: AbortSignal;
}

/**
 * Starts a private nats-server: it listens on 127.0.0.1 only, on a free port, and stores in a temporary directory. It is ready when
 * this returns, and gone, with its files, at disposal or as soon as this process ends, however it ends.
 *
 * @throws {Error} When there is no nats-server, or it does not start; the message carries what it logged.
 */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { signal } = options;
  signal?.throwIfAborted();
  const program = await findNatsServer();
  return await NatsServer.start(program, withPorts(options));
}

function withPorts(options: NatsServerOptions) {
  const { jetstream = true, serverName = `test-${crypto.randomUUID()}`, timeout = 20_000, signal } = options;
  const { port, storeDir, config = "", auth, tls, websocket = false } = options;
  const [freePort, monitorPort, freeWebsocketPort] = freePorts(3);
  return {
    name: serverName,
    port: port ?? freePort,
    monitorPort,
    websocketPort: websocket === true ? freeWebsocketPort : websocket === false ? undefined : websocket,
    storeDir,
    jetstream,
    auth,
    tls,
    extra: config,
    timeout,
    signal,
  };
}
