/** What a server does with a socket that it has accepted. */
export type Treatment = (socket: Deno.TcpConn) => unknown;

/** A TCP server that is no nats-server, for what one would never do. */
export class RawServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #sockets: Deno.TcpConn[] = [];
  readonly #serving: Promise<void>;
  #accepted = 0;

  constructor(treat: Treatment) {
    this.#serving = this.#serve(treat);
  }

  get host(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** How many sockets it has accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Waits until the clients have let go of all sockets; throws when they do not within a minute. */
  async released(): Promise<void> {
    const timeout = AbortSignal.timeout(60_000);
    const late = new Promise<never>((_, reject) => timeout.addEventListener("abort", () => reject(timeout.reason)));
    await Promise.race([late, Promise.all(this.#sockets.map(readToEnd))]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
    for (const socket of this.#sockets) {
      try {
        socket.close();
      } catch {
        // The treatment closed it.
      }
    }
  }

  async #serve(treat: Treatment): Promise<void> {
    for await (const socket of this.#listener) {
      this.#accepted++;
      this.#sockets.push(socket);
      await treat(socket);
    }
  }
}

/** A first line that a nats-server might send. */
export const GREETING = `INFO ${
  JSON.stringify({ server_id: "x", version: "2.15.0", headers: true, max_payload: 1_048_576 })
}\r\n`;

/** Writes text and closes, if told to. */
export function says(text: string, options: { closes?: boolean } = {}): Treatment {
  return async (socket) => {
    await socket.write(new TextEncoder().encode(text));
    if (options.closes) socket.close();
  };
}

async function readToEnd(socket: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(4_096);
  try {
    while (await socket.read(buffer) !== null) continue;
  } catch {
    // Closed here, or reset by the client.
  }
}
