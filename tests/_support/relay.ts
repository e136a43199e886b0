import { Buffer } from "node:buffer";

/** Which way bytes go: to the server, or to the client. */
export type Direction = "up" | "down";

/** Options of {@linkcode Relay}. */
export interface RelayOptions {
  /** Gets each message of a client; `true`: neither this one nor anything after it reaches the server. */
  stopAt?: (subject: string, body: string) => boolean;
  /**
   * Whether clients are not told of the cluster's other servers, to which they would connect past the relay.
   * @default {false}
   */
  alone?: boolean;
}

/** How a {@linkcode Relay} slows one direction down. */
export interface SlowLink {
  /** Milliseconds that each chunk is late. */
  delay: number;
  /** Longest chunk, in bytes. */
  chunk: number;
}

/** Stands between clients and a nats-server: holds or slows one direction, cuts connections, or stops at a message. */
export class Relay implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #port: number;
  readonly #stopAt: RelayOptions["stopAt"];
  readonly #alone: boolean;
  readonly #open: Set<Deno.TcpConn> = new Set();
  readonly #held: Map<Direction, PromiseWithResolvers<void>> = new Map();
  readonly #slowed: Map<Direction, SlowLink> = new Map();
  readonly #stopped = Promise.withResolvers<string>();
  readonly #over = Promise.withResolvers<void>();
  readonly #serving: Promise<void>;
  #closed = false;

  constructor(url: string, options: RelayOptions = {}) {
    this.#port = Number(new URL(url).port);
    this.#stopAt = options.stopAt;
    this.#alone = options.alone ?? false;
    this.#serving = this.#serve();
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Resolves with the subject at which it stopped. */
  get stopped(): Promise<string> {
    return this.#stopped.promise;
  }

  /** Holds what goes in one direction until it is released: for the two ends, the other one just went silent. */
  hold(direction: Direction): void {
    if (!this.#held.has(direction)) this.#held.set(direction, Promise.withResolvers());
  }

  /** Lets everything pass that was held. */
  release(direction: Direction): void {
    this.#held.get(direction)?.resolve();
    this.#held.delete(direction);
  }

  /** Slows one direction down until further notice; `null`: no more. */
  slow(direction: Direction, link: SlowLink | null): void {
    if (link) this.#slowed.set(direction, link);
    else this.#slowed.delete(direction);
  }

  /** Ends one direction of all connections, as an end that sends no more does; the other direction stays open. */
  async halfClose(direction: Direction): Promise<void> {
    const ends = [...this.#open].filter((_, i) => (i % 2 === 0) === (direction === "down"));
    await Promise.all(ends.map((end) => end.closeWrite().catch(ignoreCut)));
  }

  /** Breaks all connections; new ones may come. */
  cut(): void {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#closed = true;
    this.#over.resolve();
    this.cut();
    await this.#serving;
  }

  async #pause(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const passed = new Promise((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([passed, this.#over.promise]);
    clearTimeout(timer);
  }

  async #serve(): Promise<void> {
    const pumps: Promise<void>[] = [];
    for await (const client of this.#listener) {
      let server: Deno.TcpConn;
      try {
        server = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
      } catch {
        // The server is down, and so is this way to it.
        client.close();
        continue;
      }
      if (this.#closed) {
        client.close();
        server.close();
        break;
      }
      this.#open.add(client).add(server);
      pumps.push(this.#pump("up", client, server), this.#pump("down", server, client));
    }
    await Promise.all(pumps);
  }

  async #pump(direction: Direction, from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const frames = direction === "up" && this.#stopAt ? new ClientFrames(this.#stopAt) : null;
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const link = this.#slowed.get(direction);
        const length = await from.read(link ? buffer.subarray(0, link.chunk) : buffer);
        if (length === null) break;
        if (this.#alone && direction === "down") hideOtherServers(buffer.subarray(0, length));
        if (link) await this.#pause(link.delay);
        while (this.#held.has(direction) && !this.#closed) {
          await Promise.race([this.#held.get(direction)!.promise, this.#over.promise]);
        }
        const passed = frames ? frames.pass(buffer.subarray(0, length)) : buffer.subarray(0, length);
        for (let sent = 0; sent < passed.length;) sent += await to.write(passed.subarray(sent));
        if (frames?.stoppedAt !== undefined) {
          this.#stopped.resolve(frames.stoppedAt);
          await this.#over.promise;
        }
      }
    } catch (error) {
      if (!isCut(error)) throw error;
    }
    for (const connection of [from, to]) {
      if (this.#open.delete(connection)) connection.close();
    }
  }
}

function ignoreCut(error: unknown): void {
  if (!isCut(error)) throw error;
}

/** Whether reading or writing failed because one of the two ends is gone. */
function isCut(error: unknown): boolean {
  return [
    Deno.errors.BadResource,
    Deno.errors.BrokenPipe,
    Deno.errors.ConnectionReset,
    Deno.errors.Interrupted,
    Deno.errors.NotConnected,
  ].some((kind) => error instanceof kind);
}

/** Gives the list of a cluster's servers, as the server tells them, a name that clients do not know. */
function hideOtherServers(bytes: Uint8Array): void {
  const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = chunk.indexOf('"connect_urls"');
  if (at >= 0) chunk.write('"hidden__urls"', at);
}

/** Cuts the bytes of a client into protocol messages, up to the one to stop at. */
class ClientFrames {
  readonly #stopAt: NonNullable<RelayOptions["stopAt"]>;
  #rest = new Uint8Array();
  /** The subject that it stopped at. */
  stoppedAt: string | undefined;

  constructor(stopAt: NonNullable<RelayOptions["stopAt"]>) {
    this.#stopAt = stopAt;
  }

  /** What of the bytes, and of those left from before, may go on. */
  pass(chunk: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    let passed = 0;
    for (;;) {
      const end = bytes.indexOf(10, passed) + 1;
      if (end === 0) break;
      const words = new TextDecoder().decode(bytes.subarray(passed, end)).trim().split(/\s+/);
      const body = words[0] === "PUB" || words[0] === "HPUB" ? Number(words.at(-1)) + 2 : 0;
      if (bytes.length < end + body) break;
      if (body > 0 && this.#stopAt(words[1], new TextDecoder().decode(bytes.subarray(end, end + body)))) {
        this.stoppedAt = words[1];
        break;
      }
      passed = end + body;
    }
    this.#rest = bytes.slice(passed);
    return bytes.subarray(0, passed);
  }
}
