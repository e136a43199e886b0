import type { Msg } from "@nats-io/nats-core";
import { Unavailable } from "../connection/unavailable.ts";
import { api, apiError, ErrorCode, isServerError } from "./api.ts";
import { headerOf, statusOf } from "./raw_headers.ts";
import type { Session } from "./session.ts";
import { type ApiMessageBody, DirectMessage, LeaderMessage, type StoredMessage } from "./stored_message.ts";

const EMPTY = new Uint8Array(0);

/** Which message: that of a sequence, the first of a filter from a sequence on, or the newest on a subject. */
export type DirectQuery =
  | { seq: number; next_by_subj?: string; last_by_subj?: undefined }
  | { last_by_subj: string };

/**
 * One message, from any replica (ADR-31), or `null`.
 *
 * @param unanswered What to do if no answer came, in place of throwing.
 */
export function directGet(
  session: Session,
  stream: string,
  query: DirectQuery,
  deadline: number,
  unanswered?: (error: unknown) => Promise<StoredMessage | null>,
): Promise<StoredMessage | null> {
  const call = `$JS.API.DIRECT.GET.${stream}`;
  // The newest on a subject may be asked for without a body, which is the quickest.
  const answer = query.last_by_subj === undefined
    ? session.requests.request(call, JSON.stringify(query), deadline)
    : session.requests.request(`${call}.${query.last_by_subj}`, EMPTY, deadline);
  return answer.then(stored, unanswered);
}

/** What a batched direct get did not bring any more. */
export interface BatchEnd {
  /** Messages that match and have not been sent. */
  pending: number;
  /** Up to which sequence a `multi_last` query looked. */
  upTo: number | undefined;
}

/**
 * Many messages by one direct get: `{ batch, seq, next_by_subj, max_bytes }` or `{ multi_last, batch, up_to_seq }`. Needs 2.11.
 *
 * @param take Called with each message.
 */
export async function directBatch(
  session: Session,
  stream: string,
  query: Record<string, unknown>,
  deadline: number,
  take: (message: StoredMessage) => void,
): Promise<BatchEnd> {
  const end: BatchEnd = { pending: 0, upTo: undefined };
  await session.requests.collect(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(query), deadline, (reply) => {
    const { code, description } = statusOf(reply);
    if (code === 404) return true;
    if (code === 204) {
      end.pending = Number(headerOf(reply, "Nats-Num-Pending") ?? 0);
      end.upTo = Number(headerOf(reply, "Nats-UpTo-Sequence") ?? 0) || undefined;
      return true;
    }
    if (code !== 0) throw apiError({ code, description }, "a batched direct get");
    take(new DirectMessage(reply));
    return false;
  });
  return end;
}

/** One message from the stream's leader: `{ seq }`, `{ last_by_subj }` or `{ seq, next_by_subj }`; or `null`, also without the stream. */
export async function leaderGet(
  session: Session,
  stream: string,
  query: Record<string, unknown>,
  deadline: number,
): Promise<StoredMessage | null> {
  try {
    const { message } = await api<{ message: ApiMessageBody }>(session, `STREAM.MSG.GET.${stream}`, query, deadline);
    return new LeaderMessage(message);
  } catch (error) {
    if (isServerError(error, ErrorCode.noMessage) || isServerError(error, ErrorCode.streamNotFound)) return null;
    throw error;
  }
}

function stored(reply: Msg): StoredMessage | null {
  const { code, description } = statusOf(reply);
  if (code === 404) return null;
  if (code === 408) throw new Unavailable("no_leader", description);
  if (code !== 0) throw apiError({ code, description }, "a direct get");
  return new DirectMessage(reply);
}
