import { JetStreamStoreError } from "../errors.ts";

/** The version of a server, and what it is new enough for. */
export class ServerVersion {
  readonly #text: string;
  readonly #parts: number[];

  constructor(text: string) {
    this.#text = text;
    this.#parts = (/^\d+\.\d+\.\d+/.exec(text)?.[0] ?? "0.0.0").split(".").map(Number);
  }

  /** Whether the server has at least this version (`major.minor`, or with the patch). */
  atLeast(version: string): boolean {
    const wanted = version.split(".").map(Number);
    const differs = wanted.findIndex((part, i) => part !== this.#parts[i]);
    return differs < 0 || this.#parts[differs] > wanted[differs];
  }

  /**
   * Checks that the server is new enough.
   *
   * @throws {JetStreamStoreError} `unsupported`, naming the version.
   */
  require(version: string, feature: string): void {
    if (this.atLeast(version)) return;
    throw new JetStreamStoreError(
      "unsupported",
      `${feature} needs nats-server ${version} or newer: this server has ${this.#text}`,
    );
  }

  toString(): string {
    return this.#text;
  }
}
