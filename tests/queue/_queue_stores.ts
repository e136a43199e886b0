import { JetStreamStores, type StoresOptions } from "../../mod.ts";

/** Stores whose log can be read, and that stand apart from the environment. */
export class QueueStores extends JetStreamStores {
  readonly log: string[];

  constructor(servers: string | undefined, options: StoresOptions = {}) {
    const log: string[] = [];
    const take = (message: string) => void log.push(message);
    super({ servers, logger: { info: take, warn: take, error: take }, env: () => undefined, ...options });
    this.log = log;
  }
}
