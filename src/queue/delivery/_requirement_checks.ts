import type { QueueContext } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { api, ErrorCode, isServerError } from "../../wire/api.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import { publish } from "../../wire/publish.ts";
import type { Session } from "../../wire/session.ts";
import { type StreamInfo, streamInfo } from "../../wire/streams.ts";

/** A token that is no encoded id. */
const PROBE = "=";

/** Bytes that are kept free for a dead letter or a result, at most and as a share of the stream's limit. */
const MIN_FREE = { bytes: 16_384, share: 1 / 16 };

/** Sessions whose user may not read the state of the account: a full one shows when it refuses. */
const withoutAccountInfo = new WeakSet<Session>();

/** What an account uses and may use. */
interface AccountInfo {
  storage: number;
  limits: { max_storage: number };
}

/**
 * Checks that a dead letter can be stored: its stream, the permission, and the limits.
 *
 * @throws {JetStreamStoreError} If not.
 */
export async function checkDeadLetters(call: Call, { names, stream }: QueueContext): Promise<void> {
  await stream.openDeadLetters(call);
  await probe(call, names.dead(PROBE));
  checkRoom(await streamInfo(call, names.deadStream));
  await checkAccount(call);
}

/**
 * Checks that results, progress and past runs can be stored and read: their bucket, the permissions, and the limits.
 *
 * @throws {JetStreamStoreError} If not.
 */
export async function checkResults(call: Call, { names, results }: QueueContext): Promise<void> {
  await results.open(call);
  const subject = `$KV.${names.resultsBucket}.${PROBE}`;
  await probe(call, subject);
  await leaderGet(call, names.resultsStream, { last_by_subj: subject });
  checkRoom(await streamInfo(call, names.resultsStream));
  await checkAccount(call);
}

/**
 * Checks that jobs can be moved: the permission to publish to their queue.
 *
 * @throws {JetStreamStoreError} If not.
 */
export async function checkMoves(call: Call, names: QueueNames): Promise<void> {
  await probe(call, names.ready("normal", PROBE));
  await probe(call, names.later("normal", PROBE));
}

/**
 * Checks that messages of the queue can be looked up.
 *
 * @throws {JetStreamStoreError} If not.
 */
export async function checkLookUps(call: Call, names: QueueNames): Promise<void> {
  await leaderGet(call, names.stream, { seq: 1 });
}

/** Publishes with an expectation that cannot hold: the server refuses the message if it may be sent, and stores nothing. */
async function probe(call: Call, subject: string): Promise<void> {
  const expectation = new HeaderBlock({ "Nats-Expected-Stream": "-" });
  try {
    await publish(call, subject, "", expectation, true);
  } catch (error) {
    if (!isServerError(error, ErrorCode.streamNotMatch)) throw error;
  }
}

function checkRoom(info: StreamInfo | null): void {
  if (!info) return;
  const { config: { name, max_bytes = -1, max_msgs = -1 }, state: { bytes, messages } } = info;
  const free = Math.min(MIN_FREE.bytes, max_bytes * MIN_FREE.share);
  if (max_bytes > 0 && bytes + free > max_bytes) {
    throw full(`the stream ${name} is full: it has ${bytes} of at most ${max_bytes} bytes (max_bytes)`);
  }
  if (max_msgs > 0 && messages >= max_msgs) {
    throw full(`the stream ${name} is full: it has ${messages} of at most ${max_msgs} messages (max_msgs)`);
  }
}

/** Checks the storage of the account, where the server reports it. */
async function checkAccount(call: Call): Promise<void> {
  if (withoutAccountInfo.has(call.session)) return;
  let info: AccountInfo;
  try {
    info = await api<AccountInfo>(call, "INFO", undefined);
  } catch (error) {
    if (!(error instanceof JetStreamStoreError)) throw error;
    withoutAccountInfo.add(call.session);
    return;
  }
  const { storage, limits: { max_storage } } = info;
  if (max_storage > 0 && storage + Math.min(MIN_FREE.bytes, max_storage * MIN_FREE.share) > max_storage) {
    throw full(`the account's storage is used up: ${storage} of at most ${max_storage} bytes`);
  }
}

function full(problem: string): JetStreamStoreError {
  return new JetStreamStoreError("limits", `${problem}. Make room, or raise the limit`);
}
