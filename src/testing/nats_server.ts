import { askMonitor } from "./_monitor.ts";
import { GuardedDirectory, type GuardedProcess } from "./_guarded_directory.ts";
import { type ServerConfig, serverConfig } from "./_server_config.ts";

/** How much of its output a server remembers, in bytes. */
const LOG_LIMIT = 64 * 1024;

/** How long a graceful stop may take, in milliseconds. */
const STOP_TIMEOUT = 10_000;

/** What {@linkcode NatsServer.start} is given. */
export interface NatsServerSetup extends Omit<ServerConfig, "storeDir"> {
  storeDir?: string;
  timeout: number;
  signal?: AbortSignal;
}

/** A private nats-server, as `startNatsServer` returns it. */
export class NatsServer implements AsyncDisposable {
  /** The server's name. */
  readonly name: string;
  /** The client port. */
  readonly port: number;
  /** `nats://127.0.0.1:<port>`. */
  readonly url: string;
  /** `ws://127.0.0.1:<port>`, `wss:` with TLS; `undefined` when WebSocket is off. */
  readonly websocketUrl: string | undefined;
  /** The monitoring port, e.g. for `/varz` and `/jsz`: `http://127.0.0.1:<port>`. */
  readonly monitorUrl: string;
  /** Directory of the JetStream store. */
  readonly storeDir: string;

  readonly #program: string;
  readonly #setup: NatsServerSetup;
  readonly #directory: GuardedDirectory;
  #process: GuardedProcess;
  #version = "";
  #lastLogs: string | null = null;
  #disposal: Promise<void> | null = null;

  private constructor(program: string, setup: NatsServerSetup) {
    const { name, port, websocketPort, monitorPort, tls } = setup;
    this.name = name;
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    this.websocketUrl = websocketPort && `${tls ? "wss" : "ws"}://127.0.0.1:${websocketPort}` || undefined;
    this.monitorUrl = `http://127.0.0.1:${monitorPort}`;
    this.#program = program;
    this.#setup = setup;
    this.#directory = new GuardedDirectory("nats-server-");
    this.storeDir = setup.storeDir ?? `${this.#directory.path}/store`;
    Deno.writeTextFileSync(this.#configPath, serverConfig({ ...setup, storeDir: this.storeDir }));
    this.#process = this.#spawn();
  }

  /**
   * Starts the program and waits until it is ready.
   * @ignore
   */
  static async start(program: string, setup: NatsServerSetup): Promise<NatsServer> {
    const server = new NatsServer(program, setup);
    try {
      await server.#ready();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    setup.signal?.addEventListener("abort", server.#abort, { once: true });
    return server;
  }

  /** The server's version, e.g. `2.15.1`. */
  get version(): string {
    return this.#version;
  }

  /** The id of the server's process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Kills the server with SIGKILL and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.#process.code === null) this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  /**
   * Stops the server gracefully and waits until it is gone.
   * @throws {Error} When it is not gone after 10 s; it is killed then.
   */
  async stop(): Promise<void> {
    if (this.#process.code !== null) return;
    this.#process.kill("SIGTERM");
    this.#process.kill("SIGCONT");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_TIMEOUT);
    await this.#process.exited;
    clearTimeout(timer);
  }

  /** Stops the server gracefully if it runs, starts it on the same port with the same store, and waits until it is ready. */
  async restart(): Promise<void> {
    await this.stop();
    this.#process = this.#spawn();
    await this.#ready();
  }

  /** Freezes the server (SIGSTOP): connections stay, nothing answers. */
  suspend(): void {
    this.#process.kill("SIGSTOP");
  }

  /** Lets a suspended server go on (SIGCONT). */
  resume(): void {
    this.#process.kill("SIGCONT");
  }

  /** What the server wrote last, at most 64 KiB; also after its disposal. */
  logs(): string {
    return this.#lastLogs ?? readTail(`${this.#directory.path}/log`, LOG_LIMIT);
  }

  /** Kills the server and removes its files; a store directory that was given stays. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    this.#setup.signal?.removeEventListener("abort", this.#abort);
    await this.kill();
    this.#lastLogs = this.logs();
    await this.#directory[Symbol.asyncDispose]();
  }

  readonly #abort = () => void this[Symbol.asyncDispose]();

  get #configPath(): string {
    return `${this.#directory.path}/nats-server.conf`;
  }

  #spawn(): GuardedProcess {
    return this.#directory.spawn(this.#program, ["-c", this.#configPath]);
  }

  async #ready(): Promise<void> {
    const { monitorPort, name, timeout, signal } = this.#setup;
    const deadline = performance.now() + timeout;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#process.code !== null) {
        throw new Error(`nats-server ended with code ${this.#process.code} before it was ready:\n${this.logs()}`);
      }
      const health = await askMonitor(monitorPort, "/healthz");
      const about = health?.status === 200 ? await askMonitor(monitorPort, "/varz") : null;
      // Somebody else may have taken the port meanwhile.
      if (about?.body.server_name === name) {
        this.#version = String(about.body.version);
        return;
      }
      if (performance.now() > deadline) {
        throw new Error(`nats-server was not ready within ${timeout} ms:\n${this.logs()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function readTail(path: string, limit: number): string {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  file.seekSync(Math.max(0, size - limit), Deno.SeekMode.Start);
  const tail = new Uint8Array(Math.min(size, limit));
  file.readSync(tail);
  return new TextDecoder().decode(tail);
}
