import type { Call } from "./call.ts";
import type { Msg } from "@nats-io/nats-core";
import { isNoResponders, Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError, type StoreErrorCode } from "../errors.ts";
import { replyJson } from "./_reply_json.ts";
import type { Session } from "./session.ts";

/** Calls that may be sent again while no answer arrives: those that only read, and those that do nothing the second time. */
const REPEATABLE = /^(STREAM\.(INFO|MSG\.GET|NAMES|LIST|CREATE|UPDATE)|CONSUMER\.(INFO|NAMES|LIST))\b/;

/** Error codes of the JetStream API (`err_code`) that the stores and the queue distinguish. */
export const ErrorCode = {
  consumerNotFound: 10014,
  noMessage: 10037,
  sequenceNotFound: 10043,
  invalidStreamConfig: 10052,
  messageTooLarge: 10054,
  messageNotDeleted: 10057,
  consumerExists: 10148,
  batchesOff: 10174,
  batchIncomplete: 10176,
  batchTooLarge: 10199,
  batchDuplicate: 10201,
  tooManyBatches: 10210,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  streamNotMatch: 10060,
  wrongLastMessageId: 10070,
  wrongLastSequence: 10071,
  streamSealed: 10109,
  wrongLastSequenceUnknown: 10164,
  messageTtlOff: 10166,
} as const;

/**
 * The server is between leaders, the stream's servers are down, the same message is still on its way to them (10158), or the stream is just being
 * removed (10096): it passes.
 */
const PASSING: ReadonlySet<number> = new Set([10007, 10008, 10009, 10096, 10167, 10118, 10119, 10158]);

/**
 * What a stream that is just being removed, or whose server shuts down, says under the code of whatever was requested. A write may be done: where
 * others of a cluster have it already, only the server that answers has not.
 */
const CLOSING: ReadonlySet<string> = new Set(["store is closed", "stream closed"]);

const MEANING: ReadonlyMap<number, StoreErrorCode> = new Map<number, StoreErrorCode>([
  [10039, "jetstream_off"],
  [10076, "jetstream_off"],
  [10002, "limits"],
  [10023, "limits"],
  [10026, "limits"],
  [10027, "limits"],
  [10028, "limits"],
  [10047, "limits"],
  [10054, "limits"],
  [10077, "limits"],
  [10113, "limits"],
  [10121, "limits"],
  [10122, "limits"],
  [10058, "wrong_kind"],
]);

/** What to do about a refusal, where the server's own words do not say it. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [
    10039,
    "enable it for the account, or give the 'apiPrefix' under which the account imports it (SUPERCHECK_NATS_API_PREFIX)",
  ],
  [10005, "request fewer replicas (an option, or SUPERCHECK_NATS_REPLICAS), or add servers"],
  [10113, "give the size as 'maxBytes', an option of buckets and queues, or as SUPERCHECK_NATS_MAX_BYTES"],
  [10122, "request fewer bytes ('maxBytes', an option of buckets and queues, or SUPERCHECK_NATS_MAX_BYTES)"],
  [10047, "request fewer bytes ('maxBytes' or SUPERCHECK_NATS_MAX_BYTES), or free some"],
  [10074, "request one replica (an option, or SUPERCHECK_NATS_REPLICAS), or use a cluster"],
]);

/** The error of a JetStream answer. */
export interface ApiErrorBody {
  code: number;
  err_code?: number;
  description?: string;
}

/** Whether the server refused with one of these codes of its API. */
export function isServerError(error: unknown, ...serverCodes: number[]): error is JetStreamStoreError {
  return error instanceof JetStreamStoreError && serverCodes.includes(error.serverCode!);
}

/** The sequence that a subject's newest message has, of the error by which a guard was refused (`wrongLastSequence`); 0: there is none. */
export function lastSequenceOf(error: JetStreamStoreError): number {
  return Number(/wrong last sequence: (\d+)/.exec(error.message)?.[1] ?? 0);
}

/** An answer, or something else where the server says with one of these codes that this cannot be. */
export async function orElse<T, E>(otherwise: E, answer: Promise<T>, ...serverCodes: number[]): Promise<T | E> {
  try {
    return await answer;
  } catch (error) {
    if (isServerError(error, ...serverCodes)) return otherwise;
    throw error;
  }
}

/** An answer, or something else where this user may not request it. */
export async function orElsePermission<T, E>(otherwise: E, answer: Promise<T>): Promise<T | E> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof JetStreamStoreError && error.code === "permission") return otherwise;
    throw error;
  }
}

/** What to throw for the error of a JetStream answer. */
export function apiError(error: ApiErrorBody, doing: string): JetStreamStoreError | Unavailable {
  const { code, err_code: serverCode = code, description = `error ${code}` } = error;
  // Without a code of the API it is what the Raft layer says: a leader that has just stepped down has stored nothing.
  if (PASSING.has(serverCode) || serverCode === 503) return new Unavailable("no_leader", description);
  if (CLOSING.has(description)) return new Unavailable("lost", description);
  const refusal = `The server refused ${doing}: ${description} (${serverCode})`;
  const advice = ADVICE.get(serverCode);
  const message = advice === undefined ? refusal : `${refusal}: ${advice}`;
  return new JetStreamStoreError(MEANING.get(serverCode) ?? "server", message, { serverCode });
}

/**
 * One call of the JetStream API. It is sent again while no answer arrives, where that does no harm: a leader that has gone never gives one.
 *
 * @param method What follows the API's prefix, for instance `STREAM.INFO.KV_config`.
 * @throws {JetStreamStoreError} If the server refuses.
 * @throws {Unavailable} If it does not answer.
 */
export async function api<T extends object>(
  call: Call,
  method: string,
  body: unknown,
): Promise<T> {
  const payload = body === undefined ? "" : JSON.stringify(body);
  const sent = performance.now();
  const subject = call.session.subjects.api(method);
  const repeats = REPEATABLE.test(method);
  let reply: Msg;
  try {
    const question = { subject, payload, repeats, write: repeats ? undefined : call };
    reply = await call.session.requests.ask(question, call.deadline, (reply) => reply);
  } catch (error) {
    if (isNoResponders(error)) throw unserved(call.session, method, error);
    throw error;
  }
  const answer = replyJson<T & { error?: ApiErrorBody; ts?: string }>(reply, method);
  if (answer.ts !== undefined) call.session.noteTime(answer.ts, sent);
  if (!answer.error) return answer;
  const error = apiError(answer.error, method);
  // In a cluster a server that knows no leader may have answered before the one that has led, and has done it.
  if (!repeats && error instanceof Unavailable) call.noteUnconfirmed(subject);
  throw error;
}

/** What to throw where the JetStream API has no responders. */
function unserved(session: Session, method: string, error: Unavailable): Error {
  const { subjects, jetstream } = session;
  if (subjects.isOwn && jetstream) return error;
  if (subjects.isOwn) {
    return new JetStreamStoreError(
      "jetstream_off",
      "The server has no JetStream: start nats-server with -js, enable it for the account, or give the 'domain' (SUPERCHECK_NATS_DOMAIN) that has it, " +
        "for instance that of the hub of a leafnode",
    );
  }
  // It passes if the connection between the servers was lost.
  session.warnOnce(
    `No responders on ${
      subjects.api(method)
    }, retrying: check 'domain' or 'apiPrefix' (SUPERCHECK_NATS_DOMAIN, _API_PREFIX), that the leafnode is ` +
      "connected, and what the account imports",
  );
  return error;
}
