import type { Call } from "./call.ts";
import { api, ErrorCode, orElse } from "./api.ts";
import { damagedReply } from "./_reply_json.ts";
import { type ApiMessageBody, LeaderMessage, type StoredMessage } from "./stored_message.ts";

/** By how much the text of bytes is longer than they are. */
const BASE64 = 4 / 3;

/** Which messages {@linkcode leaderPage} gets. */
export interface LeaderPageQuery {
  /** From this sequence on. */
  seq: number;
  /** A filter of subjects. */
  next_by_subj: string;
  /** At most so many. */
  batch: number;
  /**
   * Up to this sequence.
   *
   * @default {Infinity}
   */
  upTo?: number;
}

/**
 * Messages from the stream's leader, one after the other: where replicas may differ.
 *
 * @param begin Begins a call for each of them: over a slow link they take long together.
 */
export async function leaderPage(
  begin: () => Call,
  stream: string,
  { seq, next_by_subj, batch, upTo = Infinity }: LeaderPageQuery,
): Promise<StoredMessage[]> {
  const page: StoredMessage[] = [];
  while (page.length < batch) {
    const message = await leaderGet(begin(), stream, { seq, next_by_subj });
    if (!message || message.sequence > upTo) break;
    page.push(message);
    seq = message.sequence + 1;
  }
  return page;
}

/**
 * One message from the stream's leader: `{ seq }`, `{ last_by_subj }` or `{ seq, next_by_subj }`; or `null`, also without the stream.
 *
 * @param size Bytes that it has, where they are known.
 */
export async function leaderGet(
  call: Call,
  stream: string,
  query: Record<string, unknown>,
  size?: number,
): Promise<StoredMessage | null> {
  const { incoming } = call.session;
  const method = `STREAM.MSG.GET.${stream}`;
  const ask = () => api<{ message?: ApiMessageBody }>(call, method, query);
  const asked = incoming.during(Math.ceil(incoming.one(stream, size) * BASE64), call.deadline, ask);
  const answer = await orElse(null, asked, ErrorCode.noMessage, ErrorCode.streamNotFound);
  if (answer === null) return null;
  if (!answer.message) throw damagedReply(method);
  if (size === undefined) incoming.note(stream, (answer.message.data?.length ?? 0) / BASE64);
  return new LeaderMessage(answer.message);
}
