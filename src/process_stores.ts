import { JetStreamStores } from "./stores.ts";

/** The instance behind the functions that services import: one per process. */
export const processStores: JetStreamStores = new JetStreamStores();
