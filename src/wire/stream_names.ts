import { api } from "./api.ts";
import type { Context } from "./context.ts";
import { listingStep } from "./listing.ts";

/**
 * The names of all streams that have a subject in common with a filter, fetched by page.
 *
 * @param what What is listed, for the message.
 * @throws {JetStreamStoreError} `disconnected`, if the list cannot begin or breaks off.
 */
export async function* streamNames(context: Context, what: string, subject: string): AsyncGenerator<string, void> {
  for (let offset = 0;;) {
    const page = await listingStep(
      context,
      what,
      (call) => api<{ streams: string[] | null; total: number }>(call, "STREAM.NAMES", { subject, offset }),
    );
    const names = page.streams ?? [];
    yield* names;
    offset += names.length;
    if (names.length === 0 || offset >= page.total) return;
  }
}
