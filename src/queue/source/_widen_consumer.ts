import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { api, ErrorCode, isServerError } from "../../wire/api.ts";
import { milliseconds } from "../../wire/durations.ts";
import {
  type ConsumerConfig,
  consumerConfig,
  type ConsumerInfo,
  consumerInfo,
  writeConsumer,
} from "../store/durable_consumer.ts";
import { isWide } from "./_pull_limits.ts";
import { pauseConsumer } from "../manage/pause_queue.ts";

/** Milliseconds for which a durable consumer delivers nothing while it is made again. */
const PAUSE_MS = 3_000;

/** Milliseconds after the beginning of the pause within which it is deleted: not later, as it may then have delivered jobs. */
const DELETE_WITHIN_MS = 1_500;

/**
 * Makes a durable consumer again that has few places for waiting pull requests, which cannot be changed. It waits until no job of it is
 * active, so no delivery is lost: jobs stay in the stream. Meanwhile it is paused, and not resumed, so several workers may do this at once.
 *
 * @returns Whether that was done; `false`: jobs are active, or another worker was faster.
 */
export async function widenConsumer(call: Call, names: QueueNames, name: string): Promise<boolean> {
  const before = await consumerInfo(call, names, name);
  if (!before || isWide(before) || before.num_ack_pending > 0) return false;
  const until = laterPauseEnd(before, call.session.now() + PAUSE_MS);
  const begun = performance.now();
  await pauseConsumer(call, names, name, until);
  const info = await consumerInfo(call, names, name);
  if (!info?.paused || isWide(info) || info.num_ack_pending > 0) return false;
  if (performance.now() - begun > DELETE_WITHIN_MS) return false;
  await api(call, `CONSUMER.DELETE.${names.stream}.${name}`, undefined);
  await replaceConsumer(call, names, {
    ...consumerConfig(name, info.config.filter_subject, milliseconds(info.config.ack_wait)),
    max_ack_pending: info.config.max_ack_pending,
    pause_until: until.toISOString(),
  });
  return true;
}

/** A pause of the user's that lasts longer stays. */
function laterPauseEnd({ paused, config }: ConsumerInfo, least: number): Date {
  const present = paused ? Date.parse(config.pause_until ?? "") : NaN;
  return new Date(present > least ? present : least);
}

async function replaceConsumer(call: Call, names: QueueNames, config: ConsumerConfig): Promise<void> {
  try {
    await writeConsumer(call, names, config, "create");
  } catch (error) {
    // A worker that found it missing made it with the usual settings.
    if (!isServerError(error, ErrorCode.consumerExists)) throw error;
    const present = await consumerInfo(call, names, config.durable_name);
    if (!present) throw error;
    const { max_ack_pending, pause_until } = config;
    await writeConsumer(call, names, { ...present.config, max_ack_pending, pause_until }, "update");
  }
}
