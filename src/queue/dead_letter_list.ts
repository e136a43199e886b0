import type { Context } from "../wire/context.ts";
import { directBatch, directGet } from "../wire/direct_get.ts";
import { listingStep } from "../wire/listing.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { streamInfo } from "../wire/streams.ts";
import type { QueueNames } from "./queue_names.ts";

const PAGE = 256;

/**
 * The messages of the dead letters, newest first, fetched by page.
 *
 * @throws {JetStreamStoreError} `disconnected`, if the list cannot begin or breaks off.
 */
export async function* deadLetterMessages(context: Context, names: QueueNames): AsyncGenerator<StoredMessage, void> {
  const what = `The dead letters of queue ${names.queue}`;
  const info = await listingStep(context, what, (session, deadline) => streamInfo(session, names.deadStream, deadline));
  if (!info || info.state.messages === 0) return;
  // Deleted ones leave gaps in the sequences, so a window that brought little is followed by a wider one.
  let width = PAGE;
  let last = info.state.last_seq;
  while (last >= info.state.first_seq) {
    const [from, to] = [Math.max(info.state.first_seq, last - width + 1), last];
    const page = await listingStep(context, what, (session, deadline) => readRange(session, names, from, to, deadline));
    yield* page.reverse();
    last = from - 1;
    width = page.length < PAGE / 4 ? width * 2 : PAGE;
  }
}

/** The messages between two sequences, both included, oldest first. */
async function readRange(
  session: Session,
  names: QueueNames,
  first: number,
  last: number,
  deadline: number,
): Promise<StoredMessage[]> {
  const { deadStream, deadFilter: next_by_subj } = names;
  const found: StoredMessage[] = [];
  for (let seq = first; seq <= last;) {
    const page: StoredMessage[] = [];
    if (session.server.atLeast("2.11")) {
      await directBatch(
        session,
        deadStream,
        { seq, next_by_subj, batch: PAGE },
        deadline,
        (message) => page.push(message),
      );
    } else {
      const message = await directGet(session, deadStream, { seq, next_by_subj }, deadline);
      if (message) page.push(message);
    }
    if (page.length === 0) break;
    found.push(...page.filter((message) => message.sequence <= last));
    seq = page[page.length - 1].sequence + 1;
  }
  return found;
}
