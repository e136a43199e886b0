import type { Msg } from "@nats-io/nats-core";
import { nuid } from "@nats-io/nats-core";
import { HeaderBlock, type HeaderPart } from "../connection/nats/headers.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { apiError, type ApiErrorBody, ErrorCode, isServerError } from "./api.ts";
import type { Call } from "./call.ts";
import { type PubAck, publish } from "./publish.ts";

/** Messages that a server takes as one batch. */
export const MAX_BATCH = 1_000;

/** A message of a batch. */
export interface BatchMessage {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly headers: readonly HeaderPart[];
}

/**
 * Stores messages as one batch (ADR-50): all of them, with consecutive sequences, or none. One of a single message is a batch, too.
 *
 * @returns The acknowledgement of the last message, which has the last sequence.
 * @throws {JetStreamStoreError} If the server refuses it: nothing of it is stored.
 * @throws {Unavailable} If it is not confirmed: all of it may be stored.
 */
export async function publishBatch(call: Call, messages: readonly BatchMessage[]): Promise<PubAck> {
  const id = nuid.next();
  const headersOf = ({ headers }: BatchMessage, place: number) =>
    new HeaderBlock(...headers, [
      ["Nats-Batch-Id", id],
      ["Nats-Batch-Sequence", String(place)],
      ...(place === messages.length ? [["Nats-Batch-Commit", "1"] as const] : []),
    ]);
  // The server tells only the first message why it takes no batch now.
  const begun = messages.length > 1 ? beginBatch(call, messages[0], headersOf(messages[0], 1)) : Promise.resolve(null);
  messages.slice(1, -1).forEach((message, i) => {
    const subject = call.session.subjects.publish(message.subject);
    call.session.send(subject, message.payload, { headers: headersOf(message, i + 2) });
  });
  const last = messages[messages.length - 1];
  try {
    return await publish(call, last.subject, last.payload, headersOf(last, messages.length));
  } catch (error) {
    throw isServerError(error, ErrorCode.batchIncomplete) ? await begun ?? error : error;
  }
}

/** Sends the first message of a batch; resolves with the reason for which the server refuses to begin, or `null`. */
async function beginBatch(
  { session, deadline }: Call,
  { subject, payload }: BatchMessage,
  headers: HeaderBlock,
): Promise<unknown> {
  try {
    await session.requests.ask({ subject: session.subjects.publish(subject), payload, headers }, deadline, readBegun);
    return null;
  } catch (error) {
    if (isServerError(error, ErrorCode.tooManyBatches)) return new Unavailable("no_leader", error.message);
    return error instanceof JetStreamStoreError ? error : null;
  }
}

/** A batch that has begun is answered without a word. */
function readBegun(reply: Msg, subject: string): void {
  if (reply.data.length === 0) return;
  const { error } = reply.json<{ error?: ApiErrorBody }>();
  if (error) throw apiError(error, `to store on "${subject}"`);
}
