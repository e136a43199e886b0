import { JetStreamStores, type StoresOptions } from "../../mod.ts";

/** Stores with a connection of their own, as another process has them: silent, and apart from the environment. */
export function openStores(servers: string | string[] | undefined, options: StoresOptions = {}): JetStreamStores {
  return new JetStreamStores({ servers, logger: false, env: () => undefined, ...options });
}
