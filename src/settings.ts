/**
 * The environment table. Each variable is read once, at its first use, and checked by the function that needs it.
 * @module
 */
import process from "node:process";
import { wrong } from "./checks.ts";

/**
 * Looks up one environment variable; `undefined` when it is unset or may not be read.
 *
 * @category Stores
 */
export type ReadVariable = (name: string) => string | undefined;

/** The `SUPERCHECK_NATS_*` variables of one process. */
export class Settings {
  readonly #read: ReadVariable;
  readonly #values: Map<string, string | undefined> = new Map();

  constructor(read: ReadVariable = readEnvironment) {
    this.#read = read;
  }

  /** One variable; `undefined` if it is unset or empty. */
  text(name: string): string | undefined {
    if (!this.#values.has(name)) this.#values.set(name, this.#read(name) || undefined);
    return this.#values.get(name);
  }

  /** Milliseconds that values of the KV bucket `supercheck_kv` live. */
  kvTtl(): number {
    return this.#wholeNumber("SUPERCHECK_NATS_KV_TTL_SECS", 86_400, 4_000_000_000) * 1000;
  }

  /** Replicas of the buckets and queues that this library creates. */
  replicas(): number {
    return this.#wholeNumber("SUPERCHECK_NATS_REPLICAS", 1, 5);
  }

  /** Size limit in bytes of each bucket and queue that this library creates; `undefined`: none is asked for. */
  maxBytes(): number | undefined {
    return this.#wholeNumber("SUPERCHECK_NATS_MAX_BYTES", undefined, Number.MAX_SAFE_INTEGER);
  }

  #wholeNumber<U extends number | undefined>(name: string, unset: U, max: number): number | U {
    const value = this.text(name);
    if (value === undefined) return unset;
    const number = /^\d+$/.test(value.trim()) ? Number(value) : NaN;
    if (number >= 1 && number <= max) return number;
    throw wrong(RangeError, `use ${name} as it must be a whole number from 1 to ${max}`, value);
  }
}

/** Something that Deno may not allow. */
type Access =
  | { name: "env"; variable: string }
  | { name: "net"; host: string }
  | { name: "read"; path: string };

/** What is used of Deno's own global, which other runtimes lack: without its types, this compiles there, too. */
interface DenoGlobal {
  permissions: { querySync(access: Access): { state: string } };
}

/**
 * Whether the runtime allows something. Asked before it is tried: trying would stop a program with a terminal at a prompt.
 */
export function isAllowed(access: Access): boolean {
  const { Deno: deno } = globalThis as { Deno?: DenoGlobal };
  return deno === undefined || deno.permissions.querySync(access).state === "granted";
}

/** What may not be read counts as unset. */
function readEnvironment(variable: string): string | undefined {
  return isAllowed({ name: "env", variable }) ? process.env[variable] : undefined;
}
