import type { NatsConnection } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import { LimitedLog } from "./limited_log.ts";
import type { Logger } from "./logger.ts";
import { ServerVersion } from "./server_version.ts";
import { messageOf } from "../shown.ts";

/** The oldest server that is supported. */
const OLDEST = "2.12";

/** Logs each change of the connection's state once. */
export class StateLog {
  readonly #logger: Logger;
  /** What has been logged since the last connect. */
  readonly #limited: LimitedLog;
  #connectedBefore = false;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#limited = new LimitedLog(logger);
  }

  /** A new connect() logs again why it fails. */
  begin(): void {
    this.#limited.forget();
  }

  unconfigured(): void {
    if (!this.#isNew("unconfigured")) return;
    this.#logger.warn(
      "No NATS server is configured (SUPERCHECK_NATS_URL is not set, or may not be read): calls return null",
    );
  }

  connected(nc: NatsConnection): void {
    this.#limited.forget();
    const what = this.#connectedBefore ? "Reconnected" : "Connected";
    this.#connectedBefore = true;
    const version = nc.info?.version ?? "";
    this.#logger.info(`${what} to NATS ${version} at ${nc.getServer()}`);
    if (new ServerVersion(version).atLeast(OLDEST)) return;
    this.#logger.warn(
      `NATS ${version} is older than ${OLDEST}, the oldest supported: queues do not work, update the server`,
    );
  }

  lost(nc: NatsConnection, why?: Error): void {
    // A failed reconnect is not logged again.
    this.#isNew("unreachable");
    this.#logger.warn(
      `Disconnected from NATS at ${nc.getServer()}${why ? ` (${why.message})` : ""}: calls return null, reconnecting`,
    );
  }

  failed(error: unknown): void {
    const refused = error instanceof JetStreamStoreError;
    if (!this.#isNew(refused ? error.code : "unreachable")) return;
    const message = `${messageOf(error)}. Calls return null, reconnecting`;
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
    return this.#limited.isNew(what, what);
  }
}
