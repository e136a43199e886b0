import { askMonitor } from "./_ask_monitor.ts";
import { GuardedDirectory, type GuardedProcess } from "./_guarded_directory.ts";
import { CONFIG_FILE, SERVER_DIRECTORY } from "./_temporary_directory.ts";
import { type ServerConfig, serverConfig } from "./server_config.ts";

/** How much of its output a server remembers, in bytes. */
const LOG_LIMIT = 64 * 1024;

/** How long a graceful stop may take, in milliseconds. */
const STOP_TIMEOUT_MS = 10_000;

/** How long to wait before a server that is not ready is asked again, in milliseconds. */
const READY_INTERVAL_MS = 10;

/** What a {@linkcode NatsServer} is made of. */
export interface NatsServerSetup extends Omit<ServerConfig, "storeDir"> {
  program: string;
  storeDir?: string;
  timeout: number;
  signal?: AbortSignal;
}

/**
 * A private nats-server, made by {@linkcode startNatsServer}.
 *
 * @example Survive a restart
 * ```ts
 * import { startNatsServer } from "@supercheck/jetstream/testing";
 *
 * await using server = await startNatsServer();
 * await server.restart();
 * console.log(server.url, server.version);
 * ```
 *
 * @category Testing
 */
export class NatsServer implements AsyncDisposable {
  /** The server's name. */
  readonly name: string;
  /** The client port on 127.0.0.1. */
  readonly port: number;
  /** `nats://127.0.0.1:<port>`, with TLS too: a client switches to it by its own options. */
  readonly url: string;
  /** `ws://127.0.0.1:<port>`, `wss://…` with TLS; `undefined` when WebSocket is off. */
  readonly websocketUrl: string | undefined;
  /** `http://127.0.0.1:<port>` of the monitoring, see {@linkcode NatsServer.monitor}. */
  readonly monitorUrl: string;
  /** Directory of the JetStream store. */
  readonly storeDir: string;

  readonly #setup: NatsServerSetup;
  readonly #directory: GuardedDirectory;
  readonly #configPath: string;
  #process: GuardedProcess;
  #version = "";
  #lastLogs: string | null = null;
  #disposal: Promise<void> | null = null;

  private constructor(setup: NatsServerSetup) {
    const { name, port, monitorPort, websocketPort, tls } = setup;
    this.name = name;
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    this.websocketUrl = websocketPort === undefined ? undefined : `${tls ? "wss" : "ws"}://127.0.0.1:${websocketPort}`;
    this.monitorUrl = `http://127.0.0.1:${monitorPort}`;
    this.#setup = setup;
    this.#directory = new GuardedDirectory({ prefix: SERVER_DIRECTORY });
    this.storeDir = setup.storeDir ?? `${this.#directory.path}/store`;
    this.#configPath = `${this.#directory.path}/${CONFIG_FILE}`;
    Deno.writeTextFileSync(this.#configPath, serverConfig({ ...setup, storeDir: this.storeDir }));
    this.#process = this.#spawn();
  }

  /**
   * Starts the program and waits until it is ready: what {@linkcode startNatsServer} is made of.
   * @ignore
   */
  static async start(setup: NatsServerSetup): Promise<NatsServer> {
    const server = new NatsServer(setup);
    try {
      await server.#ready();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    setup.signal?.addEventListener("abort", server.#onAbort, { once: true });
    return server;
  }

  /** The server's version, e.g. `2.15.1`. */
  get version(): string {
    return this.#version;
  }

  /** The id of the server's process; the last one when it does not run. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Whether the server's process runs, or is suspended. */
  get running(): boolean {
    return this.#process.code === null;
  }

  /** Kills the server (SIGKILL) and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.running) this.#process.kill("SIGKILL");
    await this.#process.exited();
  }

  /**
   * Stops the server gracefully (SIGTERM) and waits until it is gone.
   * @throws {Error} When it is not gone after 10 s; it is killed then.
   */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.#process.kill("SIGTERM");
    this.#process.kill("SIGCONT");
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      this.#process.kill("SIGKILL");
    }, STOP_TIMEOUT_MS);
    await this.#process.exited();
    clearTimeout(timer);
    if (killed) {
      throw new Error(`nats-server did not stop within ${STOP_TIMEOUT_MS} ms and was killed:\n${this.logs()}`);
    }
  }

  /**
   * Starts the server again on the same ports with the same store, and waits until it is ready. One that still runs is stopped
   * gracefully before. A server of a cluster is ready when it takes connections: await {@linkcode NatsCluster.ready} for the rest.
   *
   * @throws {Error} When it does not start within the `timeout` of its first start: it does not run then, and the message carries what it logged.
   */
  async restart(): Promise<void> {
    await this.stop();
    const deadline = performance.now() + this.#setup.timeout;
    for (;;) {
      if (this.#disposal) throw new Error(`Cannot restart the nats-server '${this.name}' as it is disposed`);
      this.#process = this.#spawn();
      try {
        return await this.#ready(deadline);
      } catch (error) {
        // A port whose listener was closed is still taken while a program is being started elsewhere in this process: until it runs, it
        // has a copy of all that was open.
        if (!this.#endedAsPortTaken() || performance.now() > deadline) {
          await this.kill();
          throw error;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, READY_INTERVAL_MS));
    }
  }

  /**
   * Freezes the server (SIGSTOP): its connections stay open, but nothing answers. That takes the system a moment.
   * @throws {TypeError} When it does not run.
   */
  suspend(): void {
    this.#process.kill("SIGSTOP");
  }

  /**
   * Resumes a suspended server (SIGCONT).
   * @throws {TypeError} When it does not run.
   */
  resume(): void {
    this.#process.kill("SIGCONT");
  }

  /** What the server wrote last, over all its starts, at most 64 KiB; after its disposal, too. */
  logs(): string {
    return this.#lastLogs ?? this.#directory.log(LOG_LIMIT);
  }

  /**
   * Asks the server's monitoring, e.g. for `/varz` or `/jsz?streams=true`.
   * @returns The answer; `null` when the server does not give one within 10 s.
   */
  monitor(path: string): Promise<Record<string, unknown> | null> {
    return askMonitor(this.#setup.monitorPort, path, 10_000);
  }

  /** Kills the server and removes its files; a store directory that was given stays. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    this.#setup.signal?.removeEventListener("abort", this.#onAbort);
    await this.kill();
    this.#lastLogs = this.logs();
    await this.#directory[Symbol.asyncDispose]();
  }

  readonly #onAbort = () => void this[Symbol.asyncDispose]();

  #spawn(): GuardedProcess {
    return this.#directory.spawn(this.#setup.program, ["-c", this.#configPath]);
  }

  #endedAsPortTaken(): boolean {
    return !this.running && /address already in use.*\n$/.test(this.logs());
  }

  /** @param deadline The moment of `performance.now()` by which it is ready. */
  async #ready(deadline: number = performance.now() + this.#setup.timeout): Promise<void> {
    const { timeout, signal, cluster } = this.#setup;
    // A server of a cluster cannot say more before the others are there.
    const question = cluster ? "/healthz?js-enabled-only=true" : "/healthz";
    for (;;) {
      signal?.throwIfAborted();
      if (!this.running) {
        throw new Error(`nats-server ended with code ${this.#process.code} before it was ready:\n${this.logs()}`);
      }
      const ask = (path: string) => askMonitor(this.#setup.monitorPort, path, 2_000);
      if ((await ask(question))?.status === "ok") {
        const about = await ask("/varz");
        // Somebody else may have taken the port meanwhile.
        if (about?.server_name === this.name) {
          this.#version = String(about.version);
          return;
        }
      }
      if (performance.now() > deadline) {
        throw new Error(`nats-server was not ready within ${timeout} ms:\n${this.logs()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, READY_INTERVAL_MS));
    }
  }
}
