import type { QueueContext } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import { retryUntil } from "../../wire/retry_until.ts";
import { checkObject, wrong } from "../../checks.ts";
import { PRIORITIES, type Priority } from "../format/queue_names.ts";
import { adjustConsumers, type ConsumerInfo } from "../store/durable_consumer.ts";

const DOING = "limit the active jobs";

/**
 * How many jobs of each priority may be with workers at the same time, over all processes; `null` lifts a limit, and what is absent stays.
 *
 * @category Jobs
 */
export type ActiveLimits = {
  /** Of the high ones. */
  high?: number | null;
  /** Of the normal ones. */
  normal?: number | null;
  /** Of the low ones. */
  low?: number | null;
};

/** Lets the server enforce the limits, and announces them to the workers. */
export async function limitActive(call: Call, { names, stream }: QueueContext, limits: ActiveLimits): Promise<void> {
  await stream.openConsumers(call);
  const adjust = ({ name, config }: ConsumerInfo) => {
    const limit = limits[name as Priority];
    const max_ack_pending = limit ?? -1;
    return limit === undefined || config.max_ack_pending === max_ack_pending ? null : { max_ack_pending };
  };
  await retryUntil(call, (call) => adjustConsumers(call, names, adjust));
}

/**
 * Checks limits.
 *
 * @throws {TypeError | RangeError} Naming the priority, its value and the rule.
 */
export function checkLimits(limits: ActiveLimits): void {
  checkObject(limits, DOING, "limits");
  for (const [priority, limit] of Object.entries(limits)) {
    if (!PRIORITIES.includes(priority as Priority)) {
      throw wrong(RangeError, `${DOING} as a priority must be "high", "normal" or "low"`, priority);
    }
    if (limit !== null && limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1)) {
      throw wrong(RangeError, `${DOING} as '${priority}' must be a whole number ≥ 1, or null`, limit);
    }
  }
}
