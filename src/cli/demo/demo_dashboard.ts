import type { JetStreamStores } from "../../../mod.ts";
import { dashboard } from "../../dashboard/mod.ts";

/** The dashboard over what the demo does, on loopback and a port that is free. */
export class DemoDashboard implements AsyncDisposable {
  /** Where a browser finds it. */
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #ending = new AbortController();

  constructor(stores: JetStreamStores) {
    const handler = dashboard({ stores, logger: false });
    this.#server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", signal: this.#ending.signal, onListen: () => {} },
      handler,
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** Ends it, and the live pages with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#server.finished;
  }
}
