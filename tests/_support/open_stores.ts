import { JetStreamStores, type StoresOptions } from "../../mod.ts";

/** Milliseconds that a call of a test may take, unless that is the point: a busy machine needs more than the default. */
export const TIMEOUT_MS = 30_000;

/** What stores of tests have in common: they have time, and stand apart from the environment. */
export const PATIENT = { timeout: TIMEOUT_MS, connectTimeout: TIMEOUT_MS, env: () => undefined };

/** Stores with a connection of their own, as another process has them: silent, and apart from the environment. */
export function openStores(servers: string | string[] | undefined, options: StoresOptions = {}): JetStreamStores {
  return new JetStreamStores({ servers, logger: false, ...PATIENT, ...options });
}
