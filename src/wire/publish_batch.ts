import type { Msg } from "@nats-io/nats-core";
import { nuid } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { HeaderBlock, type HeaderPart } from "../connection/nats/headers.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { apiError, type ApiErrorBody, ErrorCode, isServerError } from "./api.ts";
import type { Call } from "./call.ts";
import { type PubAck, publish } from "./publish.ts";
import { budgetPerStream } from "./requests/budget.ts";
import { retryUntil } from "./retry_until.ts";

/** Messages that a server takes as one batch. */
export const MAX_BATCH = 1_000;

/**
 * Batches of a stream that are under way at the same time over one connection: a server takes 50. It syncs the disk for each, and answers none as long as
 * more are coming, so the answers of hundreds would come too late.
 */
const MAX_IN_FLIGHT = 16;

const budgetOf = budgetPerStream(MAX_IN_FLIGHT);

/** A message of a batch. */
export interface BatchMessage {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly headers: readonly HeaderPart[];
}

/**
 * Stores messages as one batch (ADR-50): all of them, with consecutive sequences, or none. One of a single message is a batch, too. While it is not
 * confirmed it is sent again, so its messages must have guards or ids that keep them from being stored twice.
 *
 * @param stream The stream that listens to their subjects.
 * @param make Makes the messages for each sending.
 * @returns The acknowledgement of the last message, which has the last sequence.
 * @throws {RangeError} If a message has more bytes than the server takes: nothing is sent.
 * @throws {JetStreamStoreError} If the server refuses it: nothing of it is stored.
 * @throws {Unavailable} If it is not confirmed: all of it may be stored.
 */
export function publishBatch(call: Call, stream: string, make: () => readonly BatchMessage[]): Promise<PubAck> {
  const send = () => retryUntil(call, (call) => sendBatch(call, make()));
  return budgetOf(call.session, stream).during(1, () => call.deadline, send);
}

async function sendBatch(call: Call, messages: readonly BatchMessage[]): Promise<PubAck> {
  const id = nuid.next();
  const headers = messages.map((message, i) =>
    new HeaderBlock(...message.headers, [
      ["Nats-Batch-Id", id],
      ["Nats-Batch-Sequence", String(i + 1)],
      ...(i === messages.length - 1 ? [["Nats-Batch-Commit", "1"] as const] : []),
    ])
  );
  // Once it has begun, the server waits for the rest.
  messages.forEach(({ payload }, i) => checkSize(call, payload, headers[i]));
  // The server answers only the first message with why it takes no batch now.
  const begun = messages.length > 1 ? beginBatch(call, messages[0], headers[0]) : Promise.resolve(null);
  messages.slice(1, -1).forEach(({ subject, payload }, i) => {
    call.session.send(call.session.subjects.publish(subject), payload, { headers: headers[i + 1] });
  });
  const last = messages[messages.length - 1];
  try {
    return await publish(call, last.subject, last.payload, headers[headers.length - 1]);
  } catch (error) {
    throw isServerError(error, ErrorCode.batchIncomplete) ? await begun ?? error : error;
  }
}

/** @throws {RangeError} If a message has more bytes than the server takes. */
function checkSize({ session }: Call, payload: Uint8Array | string, headers: HeaderBlock): void {
  const size = headers.length + Buffer.byteLength(payload);
  if (size <= session.maxPayload) return;
  throw new RangeError(
    `Cannot send the message as it must be ≤ ${session.maxPayload} bytes (the server's max_payload): it has ${size}`,
  );
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
