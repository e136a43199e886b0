import { JetStreamStores, type Logger } from "../../../mod.ts";
import { type NatsServer, startNatsServer } from "../../testing/mod.ts";
import { sleep } from "../sleep.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds that a call of the demo may take before it continues without NATS; it watches a server that goes and comes. */
const CALL_TIMEOUT_MS = { once: 10_000, watching: 2_000 };

/** Milliseconds before a killed private server is started again, so that the loss can be seen. */
const RESTART_DELAY_MS = 3_000;

/** The NATS that the demo works with: the one that the environment names, or a private nats-server. */
export class DemoNats implements AsyncDisposable {
  readonly stores: JetStreamStores;
  /** The private server; `null` where the environment names one. */
  readonly server: NatsServer | null;
  readonly #logger: Logger;
  readonly #ending = new AbortController();
  #keeper: Promise<void> = Promise.resolve();

  private constructor(server: NatsServer | null, watches: boolean, logger: Logger) {
    this.server = server;
    this.#logger = logger;
    this.stores = new JetStreamStores({
      logger,
      timeout: CALL_TIMEOUT_MS[watches ? "watching" : "once"],
      connectTimeout: CALL_TIMEOUT_MS.once,
      name: "supercheck-demo",
      ...(server && { servers: server.url }),
    });
  }

  /**
   * Connects, to a private server once that is started. A server that cannot be reached is no error.
   *
   * @throws {JetStreamStoreError} If the server refuses us.
   * @throws {RangeError} If a variable of the environment is malformed.
   * @throws {Error} If no nats-server can be found, installed or started.
   */
  static async open(isPrivate: boolean, watches: boolean, logger: Logger, signal: AbortSignal): Promise<DemoNats> {
    const nats = new DemoNats(isPrivate ? await startNatsServer({ signal }) : null, watches, logger);
    try {
      await nats.stores.connect();
      return nats;
    } catch (error) {
      await nats[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** From now on a private server that was killed is brought back after a while. */
  keepAlive(): void {
    this.#keeper = this.#keep(this.#ending.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#keeper;
    await this.stores.close({ deadline: 1_000 });
    await this.server?.[Symbol.asyncDispose]();
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { server } = this;
    while (server && !signal.aborted) {
      await sleep(200, signal);
      if (server.running || signal.aborted) continue;
      this.#logger.warn(`The private nats-server is gone; it comes back in ${RESTART_DELAY_MS / 1_000} s`);
      await sleep(RESTART_DELAY_MS, signal);
      if (signal.aborted) return;
      try {
        await server.restart();
      } catch (error) {
        this.#logger.error(messageOf(error));
      }
    }
  }
}
