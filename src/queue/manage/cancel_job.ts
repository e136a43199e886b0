import { Unavailable } from "../../connection/unavailable.ts";
import { ErrorCode, orElse } from "../../wire/api.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { publish } from "../../wire/publish.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { EventSender } from "../store/job_events.ts";
import { findJobMessage } from "../store/find_job.ts";
import { guardHeaders } from "../format/guard_headers.ts";
import type { QueueCall } from "../store/queue_call.ts";

/** What is known of a cancel, over all its attempts. */
export interface Cancelling {
  deleted: boolean;
  /** Whether the answer of a delete was lost: then nobody can tell whether there was a job. */
  unsure: boolean;
}

/**
 * Takes a job out of the queue, wherever it is; workers that run it hear of it from the server.
 *
 * @returns Whether there was one.
 * @throws {Unavailable} If nobody can tell.
 */
export async function cancelJob(call: QueueCall, token: string, known: Cancelling): Promise<boolean> {
  for (;;) {
    const message = await findJobMessage(call, token);
    if (!message) break;
    try {
      if (await deleteMessage(call.session, call.names.stream, message.sequence, call.deadline)) {
        tell(call, token, known);
      }
    } catch (error) {
      if (error instanceof Unavailable) known.unsure = true;
      throw error;
    }
    await passFiringSchedule(call, token);
  }
  if (!known.deleted) await call.stream.checkKind(call);
  if (!known.deleted && known.unsure) throw new Unavailable("timeout", "The answer of a delete was lost");
  return known.deleted;
}

/** Sends the event at the first delete, before anything else: whoever waits for the job sees it gone, and has to know why. */
function tell({ session, names }: QueueCall, token: string, known: Cancelling): void {
  if (!known.deleted) new EventSender(names).send(session, token, "cancelled");
  known.deleted = true;
}

/**
 * Returns when a schedule of this id that was firing has fired: a publish that the server must refuse waits behind it. Without this, a job that is
 * cancelled while its schedule fires comes back now and then.
 */
async function passFiringSchedule({ session, deadline, names }: QueueCall, token: string): Promise<void> {
  const headers = new HeaderBlock(guardHeaders(names, token, Number.MAX_SAFE_INTEGER));
  const stored = publish(session, names.later("normal", token), "", deadline, headers, true);
  await orElse(null, stored, ErrorCode.wrongLastSequence, ErrorCode.wrongLastSequenceUnknown);
}
