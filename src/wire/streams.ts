import type { Call } from "./call.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { api, ErrorCode, isServerError, orElse } from "./api.ts";
import { readDuration } from "./durations.ts";
import { damagedReply } from "./_reply_json.ts";

/** What the library reads and writes of a stream's configuration; the rest is kept as it is. */
export interface StreamConfig {
  name: string;
  subjects?: string[];
  description?: string;
  retention?: "limits" | "interest" | "workqueue";
  storage?: "file" | "memory";
  discard?: "old" | "new";
  num_replicas?: number;
  max_age?: number;
  max_bytes?: number;
  max_msgs?: number;
  max_msg_size?: number;
  max_msgs_per_subject?: number;
  max_consumers?: number;
  duplicate_window?: number;
  compression?: "none" | "s2";
  allow_direct?: boolean;
  mirror_direct?: boolean;
  allow_rollup_hdrs?: boolean;
  deny_delete?: boolean;
  deny_purge?: boolean;
  sealed?: boolean;
  allow_msg_ttl?: boolean;
  subject_delete_marker_ttl?: number;
  allow_msg_schedules?: boolean;
  allow_atomic?: boolean;
  allow_batched?: boolean;
  mirror?: { name: string; external?: object; subject_transforms?: object[] };
  sources?: { name: string }[];
  metadata?: Record<string, string>;
}

/** The state of a stream. */
export interface StreamInfo {
  config: StreamConfig;
  created: string;
  /** The time of the server that answers. */
  ts?: string;
  state: {
    messages: number;
    bytes: number;
    first_seq: number;
    last_seq: number;
    consumer_count: number;
    num_subjects?: number;
    num_deleted?: number;
    subjects?: Record<string, number>;
  };
  cluster?: { leader?: string; replicas?: { name: string; current: boolean }[] };
}

/** The state of a stream, or `null` if there is none. */
export async function streamInfo(
  call: Call,
  stream: string,
  query?: Record<string, unknown>,
): Promise<StreamInfo | null> {
  const method = `STREAM.INFO.${stream}`;
  const info = await orElse(null, api<StreamInfo>(call, method, query), ErrorCode.streamNotFound);
  if (info && !(info.config && info.state)) throw damagedReply(method);
  return info;
}

/**
 * Opens a stream: looks first, creates it if it is missing, and sends an update only where `adjust` finds a difference.
 *
 * @param adjust Gets the present configuration and state; returns what is to change, checks its kind and throws if it is another.
 * @param leastWindow Nanoseconds that the duplicate window of a new stream must have; where the server allows no more than that, it gets less than wanted.
 */
export async function openStream(
  call: Call,
  wanted: StreamConfig,
  adjust: (present: StreamConfig, info: StreamInfo) => Partial<StreamConfig> | null,
  leastWindow = 0,
): Promise<StreamInfo> {
  let info = await streamInfo(call, wanted.name);
  if (!info) {
    try {
      return await createStream(call, wanted, leastWindow);
    } catch (error) {
      // Somebody was faster, with other settings.
      if (!isServerError(error, ErrorCode.streamNameInUse)) throw error;
      info = await streamInfo(call, wanted.name);
      // In a cluster a stream that was just removed can keep its name for a moment.
      if (!info) {
        throw new Unavailable("no_leader", `The name of the stream ${wanted.name} is not free yet`, { cause: error });
      }
    }
  }
  const change = adjust(info.config, info);
  return change ? await updateStream(call, { ...info.config, ...change }) : info;
}

/** Creates a stream; with a shorter duplicate window where the operator allows none as long as wanted. */
async function createStream(
  call: Call,
  wanted: StreamConfig,
  leastWindow: number,
): Promise<StreamInfo> {
  const create = (config: StreamConfig) => api<StreamInfo>(call, `STREAM.CREATE.${wanted.name}`, config);
  try {
    return await create(wanted);
  } catch (error) {
    if (!isServerError(error, ErrorCode.invalidStreamConfig)) throw error;
    const limit = readDuration(/duplicates window .* server limit of (\S+)/.exec(error.message)?.[1] ?? "");
    if (limit === undefined || limit < leastWindow) throw error;
    return await create({ ...wanted, duplicate_window: limit });
  }
}

/** Replaces a stream's configuration. */
export function updateStream(call: Call, config: StreamConfig): Promise<StreamInfo> {
  return api<StreamInfo>(call, `STREAM.UPDATE.${config.name}`, config);
}

/** The methods of the API that remove something. */
const REMOVALS = {
  stream: (stream: string) => `STREAM.DELETE.${stream}`,
  message: (stream: string) => `STREAM.MSG.DELETE.${stream}`,
  messages: (stream: string) => `STREAM.PURGE.${stream}`,
} as const;

/** Deletes a stream; `false` if there was none. */
export async function deleteStream(call: Call, stream: string): Promise<boolean> {
  const deleted = api(call, REMOVALS.stream(stream), undefined);
  return await orElse(false, deleted, ErrorCode.streamNotFound) !== false;
}

/** Deletes one message by its sequence; `false` if it was not there. */
export async function deleteMessage(
  call: Call,
  stream: string,
  sequence: number,
): Promise<boolean> {
  const deleted = api(call, REMOVALS.message(stream), { seq: sequence, no_erase: true });
  const { noMessage, sequenceNotFound, messageNotDeleted } = ErrorCode;
  return await orElse(false, deleted, noMessage, sequenceNotFound, messageNotDeleted) !== false;
}

/** Whether this call may have removed something without an answer that says so: then what it finds to be gone was removed by it, or by another. */
export function mayBeRemoved(call: Call, what: keyof typeof REMOVALS, stream: string): boolean {
  return call.isUnconfirmed(call.session.subjects.api(REMOVALS[what](stream)));
}

/** Of what is gone, and may have been removed by this call. */
export function unknownRemoval(): Unavailable {
  return new Unavailable("timeout", "The answer of a removal was lost");
}

/** Removes messages: those of a subject filter, below a sequence, or all but the newest `keep`. Returns how many. */
export async function purgeStream(
  call: Call,
  stream: string,
  what: { filter?: string; seq?: number; keep?: number },
): Promise<number> {
  const done = api<{ purged: number }>(call, REMOVALS.messages(stream), what);
  return (await orElse({ purged: 0 }, done, ErrorCode.streamNotFound)).purged;
}
