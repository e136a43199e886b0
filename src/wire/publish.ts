import type { Call } from "./call.ts";
import type { Msg } from "@nats-io/nats-core";
import { answerOrNoStream } from "./_answer_or_no_stream.ts";
import { plainSequence } from "./requests/plain_sequence.ts";
import { api, apiError, type ApiErrorBody } from "./api.ts";
import type { HeaderBlock } from "../connection/nats/headers.ts";
import { damagedReply, replyJson } from "./_reply_json.ts";

/** The server's word that a message is stored. */
export interface PubAck {
  seq: number;
  duplicate?: boolean;
}

/**
 * Stores a message in the stream that listens to its subject.
 *
 * @param call Notes if it may be stored without an acknowledgement, see {@linkcode mayBeStored}.
 * @param repeats Whether it may be sent again while no acknowledgement arrives: where a message id or a guard keeps it from being stored twice, or where
 * that does no harm.
 * @throws {JetStreamStoreError} If the server refuses it.
 * @throws {Unavailable} If it is not confirmed: it may be stored or not; with `no_responders`, no stream listens.
 */
export function publish(
  call: Call,
  subject: string,
  payload: Uint8Array | string,
  headers?: HeaderBlock,
  repeats = false,
): Promise<PubAck> {
  const question = { subject: call.session.subjects.publish(subject), payload, headers, repeats, write: call };
  const answer = call.session.requests.ask(question, call.deadline, readAck);
  if (call.session.subjects.isOwn) return answer;
  return answerOrNoStream(call, answer, async (look) => {
    call.noteUnconfirmed(question.subject);
    const { streams } = await api<{ streams: string[] | null }>(look, "STREAM.NAMES", { subject });
    return (streams ?? []).length > 0;
  });
}

/**
 * Whether this call may have stored a message on a subject without an acknowledgement: a repeat may be answered as a duplicate, and its guard may refuse
 * it because of itself.
 */
export function mayBeStored(call: Call, subject: string): boolean {
  return call.isUnconfirmed(call.session.subjects.publish(subject));
}

function readAck(reply: Msg, subject: string): PubAck {
  const seq = plainSequence(reply.data);
  if (seq > 0) return { seq };
  const ack = replyJson<PubAck & { error?: ApiErrorBody }>(reply, subject);
  if (ack.error) throw apiError(ack.error, `to store on "${subject}"`);
  if (typeof ack.seq !== "number") throw damagedReply(subject);
  return ack;
}
