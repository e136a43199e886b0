import type { JetStreamStores } from "../../mod.ts";
import { type LedgerFile, now } from "../ledger/ledger_file.ts";
import type { TimedCalls } from "./_timed_calls.ts";
import type { StoreKind, StoreNote } from "./store_notes.ts";

/** What a {@linkcode ClientContext} is made of. */
export interface ClientSetup {
  client: string;
  number: number;
  clients: number;
  seed: number;
  /** Copies that the server keeps of all streams. */
  replicas: number;
  stores: JetStreamStores;
  ledger: LedgerFile<StoreNote>;
  calls: TimedCalls;
  /** Resolves when the client is to end. */
  end: Promise<void>;
}

/** A write of a key by its owner. */
export interface Write {
  /** What is called, for people. */
  call: string;
  kind: StoreKind;
  key: string;
  version: number;
  deletes: boolean;
}

/** A read of a key by any client. */
export interface Read {
  /** What is called, for people. */
  call: string;
  kind: StoreKind;
  key: string;
  /** Whether all that was confirmed before has to be seen. */
  strict: boolean;
}

/** What the parts of a store client share. */
export class ClientContext {
  readonly client: string;
  readonly number: number;
  readonly clients: number;
  readonly seed: number;
  readonly replicas: number;
  readonly stores: JetStreamStores;
  readonly calls: TimedCalls;
  readonly #ledger: LedgerFile<StoreNote>;
  #ended = false;

  constructor(setup: ClientSetup) {
    const { client, number, clients, seed, replicas, stores, ledger, calls, end } = setup;
    this.client = client;
    this.number = number;
    this.clients = clients;
    this.seed = seed;
    this.replicas = replicas;
    this.stores = stores;
    this.calls = calls;
    this.#ledger = ledger;
    end.then(() => this.#ended = true);
  }

  note(note: StoreNote): void {
    this.#ledger.append(note);
  }

  wrong(message: string): void {
    this.note({ what: "wrong", client: this.client, message, at: now() });
  }

  /** Repeats a step with pauses (milliseconds) until the client is to end; the step gets its number. */
  async repeat(pause: number, step: (number: number) => Promise<void>): Promise<void> {
    for (let number = 0; !this.#ended; number++) {
      await step(number);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** Writes a version of a key that belongs to this client alone. */
  async write({ call, kind, key, version, deletes }: Write, made: () => Promise<unknown>): Promise<void> {
    this.note({ what: "write", kind, key, version, deletes, at: now() });
    const confirmed = await this.calls.make(call, made) !== null;
    this.note({ what: "written", kind, key, version, confirmed, at: now() });
  }

  /** Reads the version of a key; `null` from `made` is noted as "none" only if no call degraded meanwhile. */
  async read({ call, kind, key, strict }: Read, made: () => Promise<number | null>): Promise<void> {
    const { degraded } = this.stores.connectionCounters();
    const connected = this.stores.connectionStatus() === "connected";
    const from = now();
    let failed = true;
    const version = await this.calls.make(call, async () => {
      const found = await made();
      failed = false;
      return found;
    }, call.startsWith("stream ") ? ["disconnected", "replaced"] : []);
    const certain = version !== null || !failed && connected && this.stores.connectionCounters().degraded === degraded;
    if (!certain) return;
    this.note({ what: "read", kind, key, client: this.client, version: version ?? 0, strict, from, at: now() });
  }
}
