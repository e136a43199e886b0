import type { ConnectionOptions, Server } from "@nats-io/nats-core";
import { checkOptions } from "@nats-io/nats-core/internal";
import { connect as connectSocket, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { setTimeout } from "node:timers/promises";
import { OwnTransport } from "./transport.ts";

/** Milliseconds that a server has to refuse our certificate before we send. */
const VERDICT = 5;

/**
 * Carries the NATS protocol over TCP and TLS.
 *
 * It is ours because `@nats-io/transport-node` removes all listeners from a socket it gives up: an error that comes then ends the whole process
 * (refused credentials, in 12 of 20 tries), and a server that accepts and says nothing keeps the socket for ever.
 */
export class SocketTransport extends OwnTransport {
  #socket: Socket | null = null;
  #encrypted = false;

  isEncrypted(): boolean {
    return this.#encrypted;
  }

  send(frame: Uint8Array): void {
    // A failed write shows as an error of the socket, which ends the transport.
    if (!this.isClosed) this.#socket?.write(frame);
  }

  protected async open(server: Server, options: ConnectionOptions): Promise<void> {
    const plain = connectSocket({ host: server.hostname, port: server.port, noDelay: true });
    await this.#own(plain, "connect");
    const info = await this.greeting();
    checkOptions(info, options);
    if (!info.tls_required && !(info.tls_available && options.tls !== null)) return;
    // What the server would say to that can get lost, as it hangs up on what we send.
    if (info.tls_verify && !options.tls?.cert) throw new Error("certificate required");
    plain.removeAllListeners("data");
    // An address is no name to ask for, but the certificate must be for it, too.
    const name = isIP(server.hostname) ? {} : { servername: server.hostname };
    await this.#own(connectTls({ socket: plain, host: server.hostname, ...name, ...options.tls }), "secureConnect");
    this.#encrypted = true;
    // The server refuses our certificate only after our side is done; with something sent by then, the system would drop the reason that it gives.
    await setTimeout(VERDICT);
  }

  protected release(): void {
    this.#socket?.destroy();
  }

  /** Takes a socket on, and waits until it is connected. */
  #own(socket: Socket, ready: "connect" | "secureConnect"): Promise<void> {
    this.#socket = socket;
    socket.on("data", (frame: Uint8Array) => this.take(frame));
    // This listener stays for the socket's whole life: an error without one would end the process.
    socket.on("error", (error: Error) => this.end(error));
    socket.on("close", () => this.end(new Error("the server closed the connection")));
    if (this.isClosed) socket.destroy();
    return new Promise((resolve) => socket.once(ready, () => resolve()));
  }
}
