import type { Call } from "../../wire/call.ts";
import { streamInfo, updateStream } from "../../wire/streams.ts";
import { RATE_LABEL, rateText, type StartRate } from "../format/start_rate.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { openPermits, removePermits } from "../store/rate_permits.ts";

/** Lets the server limit how many jobs start within an interval, over all workers, and announces it to them; `null` lifts the limit. */
export async function limitRate(call: Call, { names, stream }: QueueContext, rate: StartRate | null): Promise<void> {
  await stream.openConsumers(call);
  if (rate) await openPermits(call, names, rate, (await stream.open(call)).replicas);
  const info = await streamInfo(call, names.stream);
  const present = info?.config.metadata ?? {};
  const { [RATE_LABEL]: _, ...others } = present;
  const metadata = rate ? { ...others, [RATE_LABEL]: rateText(rate) } : others;
  try {
    // An update that changes nothing is not sent: servers have lost messages on such updates.
    if (info && present[RATE_LABEL] !== metadata[RATE_LABEL]) {
      await updateStream(call, { ...info.config, metadata });
    }
  } finally {
    call.session.send(names.changed, "");
  }
  if (!rate) await removePermits(call, names);
}
