import { JetStreamStores, type StoresOptions } from "../../mod.ts";

/** Stores with a connection of their own, as another process has them: silent, and apart from the environment. */
export function openStores(servers: string | string[] | undefined, options: StoresOptions = {}): JetStreamStores {
  const ignore = () => {};
  const logger = { info: ignore, warn: ignore, error: ignore };
  return new JetStreamStores({ servers, logger, env: () => undefined, ...options });
}
