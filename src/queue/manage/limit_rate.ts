import type { Call } from "../../wire/call.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { retryUntil } from "../../wire/retry_until.ts";
import { streamInfo, updateStream } from "../../wire/streams.ts";
import { RATE_LABEL, rateText, type StartRate } from "../format/start_rate.ts";
import type { QueueStore } from "../store/queue_context.ts";
import { matchPermits, openPermits } from "../store/rate_permits.ts";

/** Lets the server limit how many jobs start within an interval, over all workers, and announces it to them; `null` lifts the limit. */
export function limitRate(call: Call, queue: QueueStore, rate: StartRate | null): Promise<void> {
  // A leader that was killed answers nothing, and most of the requests are not repeated by themselves.
  return retryUntil(call, (call) => limitRateOnce(call, queue, rate));
}

async function limitRateOnce(call: Call, { names, stream }: QueueStore, rate: StartRate | null): Promise<void> {
  await stream.openConsumers(call);
  const { replicas } = await stream.open(call);
  // Workers that read the limit need its permits.
  if (rate) await openPermits(call, names, rate, replicas);
  const text = rate ? rateText(rate) : undefined;
  let before: string | undefined;
  try {
    before = await storeRate(call, names.stream, text);
  } catch (error) {
    // A refused limit is not to be in force by its permits.
    if (!(error instanceof Unavailable)) await matchPermits(call, names, replicas);
    throw error;
  } finally {
    call.session.send(names.changed, "");
  }
  const inForce = await matchPermits(call, names, replicas);
  // Who changes another setting sends all of them, as it has read them before.
  if (inForce !== text && inForce === before) throw new Unavailable("no_leader", "The limit was changed back");
}

/** Stores the label of a rate, or removes it; returns the one before. */
async function storeRate(call: Call, stream: string, text: string | undefined): Promise<string | undefined> {
  const info = await streamInfo(call, stream);
  if (!info) throw new Unavailable("no_responders", "The queue was removed");
  const present = info.config.metadata ?? {};
  const { [RATE_LABEL]: _, ...others } = present;
  const metadata = text === undefined ? others : { ...others, [RATE_LABEL]: text };
  // An update that changes nothing is not sent: servers have lost messages on such updates.
  if (present[RATE_LABEL] !== text) await updateStream(call, { ...info.config, metadata });
  return present[RATE_LABEL];
}
