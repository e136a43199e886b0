import type { NatsConnection } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import type { Logger } from "./logger.ts";

/** Tells each change of the connection's state once. */
export class StateLog {
  readonly #logger: Logger;
  /** What has been told since the last change for the better. */
  readonly #told: Set<string> = new Set();
  #connectedBefore = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Whoever connects anew hears again what keeps him from it. */
  begin(): void {
    this.#told.clear();
  }

  unconfigured(): void {
    if (this.#isNew("unconfigured")) {
      this.#logger.warn(
        "No NATS server is configured (SUPERCHECK_NATS_URL is not set, or may not be read): calls return null",
      );
    }
  }

  connected(nc: NatsConnection): void {
    this.#told.clear();
    const what = this.#connectedBefore ? "Connected again" : "Connected";
    this.#connectedBefore = true;
    this.#logger.info(`${what} to NATS ${nc.info?.version ?? ""} at ${nc.getServer()}`);
  }

  lost(nc: NatsConnection, why?: Error): void {
    // That it cannot be reached now is nothing new any more.
    this.#told.add("away");
    this.#logger.warn(
      `Lost the connection to NATS at ${nc.getServer()}${
        why ? ` (${why.message})` : ""
      }: calls return null until it is back`,
    );
  }

  failed(error: unknown): void {
    const refused = error instanceof JetStreamStoreError;
    if (!this.#isNew(refused ? error.code : "away")) return;
    const message = `${error instanceof Error ? error.message : error}. Calls return null; trying on`;
    if (refused) this.#logger.error(message);
    else this.#logger.warn(message);
  }

  closedByOwner(): void {
    this.#logger.warn("The connection to NATS was closed by its owner: calls return null");
  }

  closed(): void {
    this.#logger.info("Disconnected from NATS, as close() was called");
  }

  #isNew(what: string): boolean {
    return this.#told.size !== this.#told.add(what).size;
  }
}
