import type { Msg } from "@nats-io/nats-core";
import { answerOrNoStream } from "./answer_or_no_stream.ts";
import { api, apiError, type ApiErrorBody } from "./api.ts";
import type { HeaderBlock } from "../connection/nats/headers.ts";
import { damagedReply, replyJson } from "./reply_json.ts";
import type { Repeats } from "./reply_slot.ts";
import type { Session } from "./session.ts";

/** The server's word that a message is stored. */
export interface PubAck {
  stream: string;
  seq: number;
  duplicate?: boolean;
}

/**
 * Stores a message in the stream that listens to its subject.
 *
 * @param repeats Given where it may be sent again while no acknowledgement arrives: where a message id or a guard keeps it from being stored twice, or
 * where that does no harm. After a repeat the acknowledgement may say that it is a duplicate, and the guard may refuse it because of itself.
 * @throws {JetStreamStoreError} If the server refuses it.
 * @throws {Unavailable} If it is not confirmed: it may be stored or not; with `no_responders`, no stream listens.
 */
export function publish(
  session: Session,
  subject: string,
  payload: Uint8Array | string,
  deadline: number,
  headers?: HeaderBlock,
  repeats?: Repeats | true,
): Promise<PubAck> {
  const question = { subject: session.subjects.publish(subject), payload, headers };
  const answer = session.requests.ask(question, deadline, readAck, repeats);
  return answerOrNoStream(session, answer, async (deadline) => {
    const { streams } = await api<{ streams: string[] | null }>(session, "STREAM.NAMES", { subject }, deadline);
    return (streams ?? []).length > 0;
  });
}

function readAck(reply: Msg, subject: string): PubAck {
  const ack = replyJson<PubAck & { error?: ApiErrorBody }>(reply, subject);
  if (ack.error) throw apiError(ack.error, `to store on "${subject}"`);
  if (typeof ack.seq !== "number") throw damagedReply(subject);
  return ack;
}
