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

  /** Takes over what an attempt found out. A greeting that may only have been late is waited for the next time. */
  note(host: string, found: TlsFirst, connected: boolean): void {
    if (found !== null) this.#known.set(host, found === "confirmed" ? "first" : "after_greeting");
    else if (!connected) this.#known.delete(host);
  }
}
