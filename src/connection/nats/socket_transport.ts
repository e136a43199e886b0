import type { ConnectionOptions, Server } from "@nats-io/nats-core";
import { checkOptions } from "@nats-io/nats-core/internal";
import { Buffer } from "node:buffer";
import { connect as connectSocket, isIP, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { delay, settledWithin } from "../../delay.ts";
import type { TlsFirst, TlsStart } from "./tls_starts.ts";
import { OwnTransport } from "./_transport.ts";

/** Milliseconds that a server has to refuse our certificate where we wait for that. */
const REFUSAL_MS = 1_000;

/** Milliseconds without a greeting after which the server is taken for one that wants the TLS handshake first; it waits for 2000 by default. */
const GREETING_MS = 1_000;

/** Milliseconds for which the socket is read before its silence counts: a busy process has not read it. */
const READING_MS = 20;

/** Bytes that one read of a socket may bring. */
const READ_BYTES = 262_144;

/**
 * Carries the NATS protocol over TCP and TLS.
 *
 * It is ours because `@nats-io/transport-node` removes all listeners from a socket it gives up: an error that comes then ends the whole process
 * (refused credentials, in 12 of 20 runs), and a server that accepts and says nothing keeps the socket for ever.
 */
export class SocketTransport extends OwnTransport {
  #socket: Socket | null = null;
  /** A socket whose end does not count. */
  #replaced: Socket | null = null;
  readonly #start: TlsStart;
  #encrypted = false;
  #isSilent = false;
  #tlsFirst: TlsFirst = null;
  readonly #awaitsRefusal: boolean;
  /** Whether the server is to verify our certificate, and has sent nothing since. */
  #isUnverified = false;
  #mayHideRefusal = false;
  readonly #released = new AbortController();

  /**
   * @param start When the TLS handshake begins, if there is to be one.
   * @param awaitsRefusal Whether to send nothing before the server had the time to refuse our certificate.
   */
  constructor(start: TlsStart = "after_greeting", awaitsRefusal = false) {
    super();
    this.#start = start;
    this.#awaitsRefusal = awaitsRefusal;
  }

  /** Whether the server wants the TLS handshake before its greeting, as far as this attempt has found out. */
  get tlsFirst(): TlsFirst {
    return this.#tlsFirst;
  }

  /** Whether the server has accepted the connection, and then sent nothing. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /**
   * Whether the connection ended before the server had sent anything that shows that it accepts our certificate, and its reason may be lost: it refuses
   * only after our side of the handshake is done, and the system drops what it says once we send to a connection that it has closed.
   */
  get mayHideRefusal(): boolean {
    return this.#mayHideRefusal && !this.#awaitsRefusal;
  }

  isEncrypted(): boolean {
    return this.#encrypted;
  }

  send(bytes: Uint8Array): void {
    // A failed write shows as an error of the socket, which ends the transport.
    if (!this.isClosed) this.#socket?.write(bytes);
  }

  sendAll(parts: Uint8Array[]): void {
    // One write to the system for all of them.
    if (parts.length > 1) this.#socket?.cork();
    for (const part of parts) this.send(part);
    if (parts.length > 1) this.#socket?.uncork();
  }

  protected async open(server: Server, options: ConnectionOptions): Promise<void> {
    const socket = await this.#connect(server, options.tls ? undefined : this.#intoOneBuffer());
    this.#isSilent = true;
    if (options.tls && await this.#wantsTlsFirst(options.timeout)) {
      await this.#encrypt(socket, server, options);
      checkOptions(await this.greeting(), options);
      this.#tlsFirst = "confirmed";
      return;
    }
    const info = await this.greeting();
    this.#isSilent = false;
    checkOptions(info, options);
    if (!info.tls_required && !(info.tls_available && options.tls !== null)) return;
    // The server's answer to that can get lost, as it closes the connection on what we send.
    if (info.tls_verify && !options.tls?.cert) throw new Error("certificate required");
    await this.#encrypt(options.tls ? socket : await this.#connectAgain(server), server, options);
    this.#isUnverified = Boolean(info.tls_verify);
    if (!this.#isUnverified || !this.#awaitsRefusal) return;
    await delay(Math.min(REFUSAL_MS, (options.timeout ?? Infinity) / 2), { signal: this.#released.signal });
  }

  async #connect({ hostname, port }: Server, onread?: OnReadOpts): Promise<Socket> {
    const socket = connectSocket({ host: hostname, port, noDelay: true, onread });
    await this.#own(socket, "connect");
    return socket;
  }

  /** Connects once more, without the one buffer: Deno cannot encrypt a socket that reads into it. Only the server knew that TLS is to be used. */
  async #connectAgain(server: Server): Promise<Socket> {
    this.#replaced = this.#socket;
    this.#replaced?.destroy();
    this.forget();
    const socket = await this.#connect(server);
    await this.greeting();
    return socket;
  }

  async #wantsTlsFirst(timeout = Infinity): Promise<boolean> {
    if (this.#start !== "unknown") return this.#start === "first";
    const wait = Math.min(GREETING_MS, timeout / 2);
    const greeting = this.greeting();
    if (await settledWithin(greeting, wait) || await settledWithin(greeting, READING_MS)) return false;
    this.#tlsFirst = "assumed";
    return true;
  }

  async #encrypt(plain: Socket, server: Server, { tls }: ConnectionOptions): Promise<void> {
    plain.removeAllListeners("data");
    // An address is not sent as a server name, but the certificate must be for it, too.
    const name = isIP(server.hostname) ? {} : { servername: server.hostname };
    await this.#own(connectTls({ socket: plain, host: server.hostname, ...name, ...tls }), "secureConnect");
    this.#encrypted = true;
  }

  /**
   * Reads into the same memory each time: new memory for each read costs more than all else that is done with it. For the first socket only: what it
   * still reads once it is replaced does not count.
   */
  #intoOneBuffer(): OnReadOpts {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const callback = (length: number) => {
      if (this.#replaced !== null) return false;
      this.take(buffer.subarray(0, length));
      return true;
    };
    return { buffer, callback };
  }

  protected release(): void {
    this.#released.abort();
    this.#socket?.destroy();
  }

  /** Takes a socket on in place of the last one, and waits until it is connected. */
  #own(socket: Socket, ready: "connect" | "secureConnect"): Promise<void> {
    this.#socket = socket;
    socket.on("data", (frame: Uint8Array) => {
      this.#isUnverified = false;
      this.take(frame);
    });
    // This listener stays for the socket's whole life: an error without one would end the process.
    socket.on("error", (error: Error) => {
      if (socket !== this.#replaced) this.#hungUp(error);
    });
    socket.on("close", () => {
      if (socket !== this.#replaced) this.#hungUp(new Error("the server closed the connection"));
    });
    if (this.isClosed) socket.destroy();
    return new Promise((resolve) => socket.once(ready, () => resolve()));
  }

  #hungUp(error: Error): void {
    if (!this.isClosed) this.#mayHideRefusal = this.#isUnverified;
    this.end(error);
  }
}
