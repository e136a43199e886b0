import { api, ErrorCode, orElse } from "./api.ts";
import { insist } from "./insist.ts";
import { damagedReply } from "./reply_json.ts";
import type { Session } from "./session.ts";
import { type ApiMessageBody, LeaderMessage, type StoredMessage } from "./stored_message.ts";

/**
 * One message from the stream's leader: `{ seq }`, `{ last_by_subj }` or `{ seq, next_by_subj }`; or `null`, also without the stream. Without an
 * answer it is asked for again: a leader that has gone never gives one.
 */
export async function leaderGet(
  session: Session,
  stream: string,
  query: Record<string, unknown>,
  deadline: number,
): Promise<StoredMessage | null> {
  const call = `STREAM.MSG.GET.${stream}`;
  const ask = (deadline: number) => api<{ message?: ApiMessageBody }>(session, call, query, deadline);
  const answer = await orElse(null, insist(deadline, ask), ErrorCode.noMessage, ErrorCode.streamNotFound);
  if (answer === null) return null;
  if (!answer.message) throw damagedReply(call);
  return new LeaderMessage(answer.message);
}
