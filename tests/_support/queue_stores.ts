import { JetStreamStores, type StoresOptions } from "../../mod.ts";
import { keptLines } from "./kept_lines.ts";
import { PATIENT } from "./open_stores.ts";

/** Stores whose log can be read, and that stand apart from the environment. */
export class QueueStores extends JetStreamStores {
  readonly log: string[];

  constructor(servers: string | undefined, options: StoresOptions = {}) {
    const { lines, logger } = keptLines();
    super({ servers, logger, ...PATIENT, ...options });
    this.log = lines;
  }
}
