/**
 * The environment table. Each variable is read once, at its first use, and checked by the function that needs it.
 * @module
 */
import process from "node:process";

/** Looks up one environment variable; `undefined` when it is unset or may not be read. */
export type ReadVariable = (name: string) => string | undefined;

/** What the environment says about the way into the NATS server. */
export interface ConnectionVariables {
  servers: string[] | undefined;
  creds: string | undefined;
  token: string | undefined;
  user: string | undefined;
  password: string | undefined;
  nkeySeed: string | undefined;
  tlsCa: string | undefined;
  tlsCert: string | undefined;
  tlsKey: string | undefined;
}

/** The `SUPERCHECK_NATS_*` variables of one process. */
export class Settings {
  readonly #read: ReadVariable;
  readonly #values: Map<string, string | undefined> = new Map();

  constructor(read: ReadVariable = readEnvironment) {
    this.#read = read;
  }

  /** Where and how to connect. `servers` is `undefined` when no connection is to be tried. */
  connection(): ConnectionVariables {
    const servers = this.#value("SUPERCHECK_NATS_URL")?.split(",").map((url) => url.trim()).filter((url) => url !== "");
    return {
      servers: servers?.length ? servers : undefined,
      creds: this.#value("SUPERCHECK_NATS_CREDS"),
      token: this.#value("SUPERCHECK_NATS_TOKEN"),
      user: this.#value("SUPERCHECK_NATS_USER"),
      password: this.#value("SUPERCHECK_NATS_PASSWORD"),
      nkeySeed: this.#value("SUPERCHECK_NATS_NKEY_SEED"),
      tlsCa: this.#value("SUPERCHECK_NATS_TLS_CA"),
      tlsCert: this.#value("SUPERCHECK_NATS_TLS_CERT"),
      tlsKey: this.#value("SUPERCHECK_NATS_TLS_KEY"),
    };
  }

  /** Milliseconds that values of the KV bucket `supercheck_kv` live. */
  kvTtl(): number {
    return this.#wholeNumber("SUPERCHECK_NATS_KV_TTL_SECS", 86_400, 4_000_000_000) * 1000;
  }

  /** Replicas of the buckets and queues that this library creates. */
  replicas(): number {
    return this.#wholeNumber("SUPERCHECK_NATS_REPLICAS", 1, 5);
  }

  #wholeNumber(name: string, unset: number, max: number): number {
    const value = this.#value(name);
    if (value === undefined) return unset;
    const number = /^\d+$/.test(value.trim()) ? Number(value) : NaN;
    if (!(number >= 1 && number <= max)) {
      throw new RangeError(
        `Cannot use ${name} as it must be a whole number from 1 to ${max}: current value is "${value}"`,
      );
    }
    return number;
  }

  #value(name: string): string | undefined {
    if (!this.#values.has(name)) this.#values.set(name, this.#read(name) || undefined);
    return this.#values.get(name);
  }
}

function readEnvironment(name: string): string | undefined {
  // Asking first keeps a process without --allow-env from stopping at a prompt: what may not be read counts as unset.
  if (typeof Deno !== "undefined" && Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") {
    return undefined;
  }
  return process.env[name];
}
