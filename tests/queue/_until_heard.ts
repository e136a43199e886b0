import type { NatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** Waits until somebody listens to a subject. */
export async function untilHeard(server: NatsServer, subject: string): Promise<void> {
  await waitUntil(async () => Number((await server.monitor(`/subsz?subs=1&test=${subject}`))?.total) > 0);
}
