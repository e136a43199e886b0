import { api, ErrorCode, orElse } from "./api.ts";
import { damagedReply } from "./reply_json.ts";
import type { Session } from "./session.ts";
import { type ApiMessageBody, LeaderMessage, type StoredMessage } from "./stored_message.ts";

/** One message from the stream's leader: `{ seq }`, `{ last_by_subj }` or `{ seq, next_by_subj }`; or `null`, also without the stream. */
export async function leaderGet(
  session: Session,
  stream: string,
  query: Record<string, unknown>,
  deadline: number,
): Promise<StoredMessage | null> {
  const call = `STREAM.MSG.GET.${stream}`;
  const asked = api<{ message?: ApiMessageBody }>(session, call, query, deadline);
  const answer = await orElse(null, asked, ErrorCode.noMessage, ErrorCode.streamNotFound);
  if (answer === null) return null;
  if (!answer.message) throw damagedReply(call);
  return new LeaderMessage(answer.message);
}
