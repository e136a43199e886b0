import type { ConnectionOptions, NatsConnection, ServerInfo } from "@nats-io/nats-core";
import {
  checkOptions,
  extractProtocolMessage,
  INFO,
  NatsConnectionImpl,
  type Server,
  setTransportFactory,
  type Transport,
} from "@nats-io/nats-core/internal";
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";
import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions as TlsOptions } from "node:tls";

/**
 * Connects over TCP or TLS.
 *
 * The transport is ours because `@nats-io/transport-node` removes all listeners from a socket it gives up: an error that comes then ends the whole
 * process (refused credentials, in 12 of 20 tries), and a server that accepts and says nothing keeps the socket for ever.
 */
export function connectOverSocket(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new SocketTransport() });
  return NatsConnectionImpl.connect(options);
}

/** Carries the NATS protocol over `node:net` and `node:tls`. Its socket always has an owner: it ends with the transport, whatever happens. */
export class SocketTransport implements Transport {
  readonly lang = "supercheck-jetstream";
  readonly version = "1";
  readonly #closed = Promise.withResolvers<void | Error>();
  #socket: Socket | null = null;
  #frames: Uint8Array[] = [];
  #wake: () => void = () => {};
  #encrypted = false;
  #connected = false;
  #done = false;
  #outgoing: Uint8Array[] = [];
  closeError?: Error;

  get isClosed(): boolean {
    return this.#done;
  }

  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    try {
      const plain = await this.#own(
        connectSocket({ host: server.hostname, port: server.port, noDelay: true }),
        "connect",
      );
      const info = await this.#greeting(plain);
      checkOptions(info, options);
      if (info.tls_required || (info.tls_available && options.tls !== null)) {
        plain.removeAllListeners("data");
        const settings: TlsOptions = { socket: plain, servername: server.tlsName || server.hostname, ...options.tls };
        await this.#own(connectTls(settings), "secureConnect");
        this.#encrypted = true;
      }
      this.#connected = true;
      const socket = this.#socket!;
      socket.on("data", (frame: Uint8Array) => this.#push(frame));
      socket.once("end", () => socket.end());
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    while (!this.#done) {
      const frames = this.#frames;
      this.#frames = [];
      yield* frames;
      if (this.#frames.length === 0 && !this.#done) await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  isEncrypted(): boolean {
    return this.#encrypted;
  }

  send(frame: Uint8Array): void {
    // What is sent within one turn of the event loop goes out in one write: acknowledgements come one by one, and a write costs as much as ten of them.
    if (this.#outgoing.push(frame) === 1) nextTick(() => this.#write());
  }

  close(error?: Error): Promise<void> {
    this.#end(error);
    return Promise.resolve();
  }

  disconnect(): void {
    this.#end();
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  discard(): void {
    this.#done = true;
    this.#socket?.destroy();
    this.#wake();
  }

  /** Takes a socket on, and waits until it is connected. */
  #own(socket: Socket, ready: "connect" | "secureConnect"): Promise<Socket> {
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.once(ready, () => resolve(socket));
      // This listener stays for the socket's whole life: an error without one would end the process.
      socket.on("error", (error: Error) => {
        this.closeError ??= error;
        reject(error);
      });
      socket.once("close", () => {
        reject(this.closeError ?? new Error("the server closed the connection"));
        this.#end(this.closeError);
      });
      if (this.#done) socket.destroy();
    });
  }

  /** Waits for the server's first line; it stays in the queue for the protocol. */
  #greeting(socket: Socket): Promise<ServerInfo> {
    return new Promise((resolve, reject) => {
      socket.once(
        "close",
        () => reject(this.closeError ?? new Error("the server closed the connection without a greeting")),
      );
      socket.on("data", (frame: Uint8Array) => {
        this.#push(frame);
        const line = extractProtocolMessage(Buffer.concat(this.#frames));
        if (line === "") return;
        socket.removeAllListeners("data");
        const info = INFO.exec(line)?.[1];
        if (info === undefined) reject(new Error("the server does not speak NATS"));
        else resolve(JSON.parse(info));
      });
    });
  }

  #write(): void {
    const frames = this.#outgoing;
    this.#outgoing = [];
    // A failed write shows as an error of the socket, which ends the transport.
    if (!this.#done) this.#socket?.write(frames.length === 1 ? frames[0] : Buffer.concat(frames));
  }

  #push(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#wake();
  }

  #end(error?: Error): void {
    this.closeError ??= error;
    this.discard();
    // Of a connection that was never made, the caller of connect() hears.
    if (this.#connected) this.#closed.resolve(this.closeError);
  }
}
