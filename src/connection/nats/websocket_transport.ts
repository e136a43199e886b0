import type { ConnectionOptions, Server } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { checkOptions } from "@nats-io/nats-core/internal";
import { OwnTransport } from "./_transport.ts";

/** Carries the NATS protocol over a WebSocket. */
export class WebsocketTransport extends OwnTransport {
  #socket: WebSocket | null = null;
  #encrypted = false;

  isEncrypted(): boolean {
    return this.#encrypted;
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.isClosed) this.#socket?.send(bytes);
  }

  sendAll(parts: Uint8Array[]): void {
    this.send(parts.length === 1 ? parts[0] as Uint8Array<ArrayBuffer> : Buffer.concat(parts));
  }

  protected async open(server: Server, options: ConnectionOptions): Promise<void> {
    const socket = this.#socket = new WebSocket(server.src);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.take(new Uint8Array(data));
    socket.onerror = (event) => this.end(new Error((event as ErrorEvent).message || "the WebSocket failed"));
    socket.onclose = () => this.end(new Error("the server closed the connection"));
    checkOptions(await this.greeting(), options);
    this.#encrypted = server.src.startsWith("wss://");
  }

  protected release(): void {
    this.#socket?.close();
  }
}
