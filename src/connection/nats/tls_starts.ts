import { JetStreamStoreError } from "../../errors.ts";
import { NO_TLS } from "./tls_failure.ts";

/** When the TLS handshake with a server begins: with the connection, after the server's greeting, or, if it sends none, without it. */
export type TlsStart = "first" | "after_greeting" | "unknown";

/** What an attempt found out: the server greets after the handshake, or is only assumed to as it sent no greeting before. */
export type TlsFirst = "confirmed" | "assumed" | null;

/** Remembers which servers of one target want the TLS handshake before their greeting. */
export class TlsStarts {
  readonly #option: boolean | undefined;
  readonly #known: Map<string, TlsStart> = new Map();

  /** @param option The user's own word, if there is one: it holds for all servers. */
  constructor(option: boolean | undefined) {
    this.#option = option;
  }

  /** When to begin with a server. */
  of(host: string): TlsStart {
    if (this.#option !== undefined) return this.#option ? "first" : "after_greeting";
    return this.#known.get(host) ?? "unknown";
  }

  /** An attempt succeeded. */
  connected(host: string, found: TlsFirst): void {
    if (found !== null) this.#known.set(host, "first");
  }

  /**
   * An attempt failed.
   *
   * @returns Whether it failed because the handshake was begun without a greeting, which was only late.
   */
  failed(host: string, found: TlsFirst, failure: Error): boolean {
    const isTls = failure instanceof JetStreamStoreError && failure.code === "tls";
    const wasLate = found === "assumed" && isTls && failure.message.includes(NO_TLS);
    if (wasLate) this.#known.set(host, "after_greeting");
    // A certificate that does not match shows as much as a connection.
    else if (found === "confirmed" || (found === "assumed" && isTls)) this.#known.set(host, "first");
    else this.#known.delete(host);
    return wasLate;
  }
}
