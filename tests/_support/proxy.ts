import { Buffer } from "node:buffer";

/** What a {@linkcode Proxy} does to what passes. */
export interface Tampering {
  /** Whether a message on its way from the server to the client is lost. */
  drop?: (subject: string, payload: string) => boolean;
  /** Whether a message on its way from the client to the server is lost; `reply` is where its answer is to go. */
  lose?: (subject: string, payload: string, reply?: string) => boolean;
  /** Another payload for a message without headers on its way from the server to the client; `undefined` leaves it. */
  change?: (subject: string, payload: string) => string | undefined;
  /** A text in messages on their way to the server, and another one of the same length that it gets in its place. */
  replace?: [text: string, other: string];
  /** Whether a connection is closed as soon as it is made. */
  refuse?: () => boolean;
  /** The version that the server seems to have. */
  version?: string;
}

/** Stands between clients and a nats-server: loses messages, cuts connections, ages the server. */
export class Proxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: Deno.ConnectOptions;
  readonly #open: Set<Deno.Conn> = new Set();
  readonly #serving: Promise<void>;
  readonly tampering: Tampering;

  constructor(url: string, tampering: Tampering = {}) {
    this.#target = { hostname: "127.0.0.1", port: Number(new URL(url).port) };
    this.tampering = tampering;
    this.#serving = this.#serve();
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  /** Breaks all connections; new ones may come. */
  cut(): void {
    for (const conn of [...this.#open]) this.#close(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const pumps: Promise<void>[] = [];
    for await (const client of this.#listener) {
      if (this.tampering.refuse?.()) {
        client.close();
        continue;
      }
      this.#open.add(client);
      let server: Deno.Conn;
      try {
        server = await Deno.connect(this.#target);
      } catch {
        this.#close(client);
        continue;
      }
      // It may have been cut meanwhile.
      if (!this.#open.has(client)) {
        server.close();
        continue;
      }
      this.#open.add(server);
      pumps.push(
        this.#pump(client, server, new Frames(this.tampering, "lose")),
        this.#pump(server, client, new Frames(this.tampering, "drop")),
      );
    }
    await Promise.all(pumps);
  }

  async #pump(from: Deno.Conn, to: Deno.Conn, frames: Frames): Promise<void> {
    try {
      for await (const chunk of from.readable) {
        const rest = new Uint8Array(frames.pass(chunk));
        for (let sent = 0; sent < rest.length;) sent += await to.write(rest.subarray(sent));
      }
    } catch {
      // One of the two ends was cut.
    }
    for (const conn of [from, to]) this.#close(conn);
  }

  #close(conn: Deno.Conn): void {
    if (!this.#open.delete(conn)) return;
    try {
      conn.close();
    } catch {
      // The reader has closed it.
    }
  }
}

/** Commands that a body follows. */
const WITH_BODY = ["MSG", "HMSG", "PUB", "HPUB"];

/** Where the answer to a message of a client is to go. */
function replyOf(words: string[]): string | undefined {
  const sizes = words[0] === "HPUB" ? 2 : 1;
  return words[0].endsWith("PUB") && words.length === sizes + 3 && words[2] ? words[2] : undefined;
}

/** Cuts the bytes of one of the two ends into protocol messages. */
class Frames {
  readonly #tampering: Tampering;
  readonly #way: "drop" | "lose";
  #rest = new Uint8Array();

  constructor(tampering: Tampering, way: "drop" | "lose") {
    this.#tampering = tampering;
    this.#way = way;
  }

  /** What of the bytes, and of those left from before, may go on. */
  pass(chunk: Uint8Array): Uint8Array {
    let rest = concat([this.#rest, chunk]);
    const passed: Uint8Array[] = [];
    for (;;) {
      const end = rest.indexOf(10) + 1;
      if (end === 0) break;
      const line = new TextDecoder().decode(rest.subarray(0, end));
      const words = line.trim().split(" ");
      const body = WITH_BODY.includes(words[0]) ? Number(words.at(-1)) + 2 : 0;
      if (rest.length < end + body) break;
      const payload = () => new TextDecoder().decode(rest.subarray(end, end + body));
      if (body > 0 && this.#tampering[this.#way]?.(words[1], payload(), replyOf(words))) {
        rest = rest.subarray(end + body);
        continue;
      }
      if (words[0] === "INFO" && this.#tampering.version !== undefined) {
        passed.push(
          new TextEncoder().encode(line.replace(/"version":"[^"]+"/, `"version":"${this.#tampering.version}"`)),
        );
      } else if (words[0] === "MSG") passed.push(this.#changed(words, payload()) ?? rest.subarray(0, end + body));
      else passed.push(this.#replaced(rest.subarray(0, end + body)));
      rest = rest.subarray(end + body);
    }
    this.#rest = rest.slice();
    return concat(passed);
  }

  #replaced(bytes: Uint8Array): Uint8Array {
    if (this.#way === "drop" || !this.#tampering.replace) return bytes;
    return Buffer.from(Buffer.from(bytes).toString("latin1").replaceAll(...this.#tampering.replace), "latin1");
  }

  #changed(words: string[], payload: string): Uint8Array | undefined {
    const other = this.#tampering.change?.(words[1], payload.slice(0, -2));
    if (other === undefined) return undefined;
    const body = new TextEncoder().encode(other);
    const line = [...words.slice(0, -1), body.length].join(" ");
    return concat([new TextEncoder().encode(`${line}\r\n`), body, new TextEncoder().encode("\r\n")]);
  }
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
