import type { Call } from "../../wire/call.ts";
import { checkWhole } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import type { Context } from "../../wire/context.ts";
import { listingStep } from "../../wire/listing.ts";
import { messagePages } from "../../wire/message_pages.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { StreamReader } from "../../wire/stream_reader.ts";
import { streamInfo } from "../../wire/streams.ts";
import { type DeadLetter, readDeadLetter } from "../store/dead_letters.ts";
import type { QueueNames } from "../format/queue_names.ts";

const PAGE_MESSAGES = 256;

/**
 * Which dead letters {@linkcode JobQueue.deadLetters} lists.
 *
 * @category Jobs
 */
export interface ListDeadLettersOptions {
  /**
   * Only those before this `sequence`, the one of the last dead letter of a page.
   *
   * @default {all}
   */
  before?: number;
}

const OPTIONS: OptionNames<ListDeadLettersOptions> = { before: true };

/**
 * The sequence before which the dead letters to be listed lie.
 *
 * @throws {TypeError | RangeError} If an option is wrong.
 */
export function listedBefore(options: ListDeadLettersOptions | null | undefined): number {
  const doing = "list the dead letters";
  const { before } = checkOptions(options, OPTIONS, doing);
  if (before !== undefined) checkWhole(before, doing, "before", 1);
  return before ?? Infinity;
}

/** The dead letters before a sequence, newest first, fetched by page. */
export async function* listDeadLetters<T>(
  { context, names }: { context: Context; names: QueueNames },
  before: number,
): AsyncGenerator<DeadLetter<T>, void> {
  for await (const message of deadLetterMessages(context, names, before)) yield readDeadLetter<T>(message);
}

/**
 * The messages of the dead letters, newest first, fetched by page.
 *
 * @throws {JetStreamStoreError} `disconnected`, if the list cannot begin or breaks off.
 */
export async function* deadLetterMessages(
  context: Context,
  names: QueueNames,
  before: number = Infinity,
): AsyncGenerator<StoredMessage, void> {
  const what = `The dead letters of queue ${names.queue}`;
  const info = await listingStep(context, what, (call) => streamInfo(call, names.deadStream));
  if (!info || info.state.messages === 0) return;
  const reader = new StreamReader(names.deadStream);
  // Deleted ones leave gaps in the sequences, so a window that brought little is followed by a wider one.
  let width = PAGE_MESSAGES;
  let last = Math.min(info.state.last_seq, before - 1);
  while (last >= info.state.first_seq) {
    const first = Math.max(info.state.first_seq, last - width + 1);
    const readWindow = (call: Call) => readRange(call, reader, { filter: names.deadFilter, first, last });
    const window = await listingStep(context, what, readWindow);
    yield* window.reverse();
    last = first - 1;
    width = window.length < PAGE_MESSAGES / 4 ? width * 2 : PAGE_MESSAGES;
  }
}

/** The messages between two sequences, both included, oldest first. */
async function readRange(
  call: Call,
  reader: StreamReader,
  { filter, first, last }: { filter: string; first: number; last: number },
): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  const pageFrom = (seq: number) =>
    reader.page(call, { seq, next_by_subj: filter, batch: Math.min(PAGE_MESSAGES, last - seq + 1) });
  for await (const page of messagePages(pageFrom, first, last)) {
    found.push(...page.filter(({ sequence }) => sequence <= last));
  }
  return found;
}
