import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A way to a server whose first connection ends, without a word, at what `isLost` picks of what the server says. */
export class ForgetfulWay implements AsyncDisposable {
  readonly #server: Server;
  readonly #open: Set<Socket> = new Set();
  /** Connections that came. */
  connections = 0;

  static async to(port: number, isLost: (bytes: Uint8Array) => boolean): Promise<ForgetfulWay> {
    const way = new ForgetfulWay(port, isLost);
    way.#server.listen(0, "127.0.0.1");
    await once(way.#server, "listening");
    return way;
  }

  private constructor(port: number, isLost: (bytes: Uint8Array) => boolean) {
    this.#server = createServer((client) => {
      const forgets = this.connections++ === 0;
      const server = connect({ host: "127.0.0.1", port });
      const hangUp = () => [client, server].forEach((socket) => socket.destroy());
      for (const socket of [client, server]) {
        this.#open.add(socket);
        socket.on("error", hangUp);
      }
      client.on("data", (bytes) => server.write(bytes)).on("close", hangUp);
      server.on("data", (bytes) => forgets && isLost(bytes) ? hangUp() : client.write(bytes));
      server.on("end", () => client.end());
    });
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
