import type { QueueContext } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { ErrorCode, orElse } from "../../wire/api.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { publish } from "../../wire/publish.ts";
import { mayBeFiring, waitToLookAgain } from "../publish/replaceable_message.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage, mayBeRemoved, unknownRemoval } from "../../wire/streams.ts";
import { EventSender } from "../store/job_events.ts";
import { findJobMessage, isDelayed } from "../store/find_job.ts";
import { guardHeaders } from "../format/guard_headers.ts";

/** What is known of a cancel, over all its attempts. */
export interface Cancelling {
  deleted: boolean;
  /** Whether it was there before: then what is gone, and may have been removed by this call, counts as cancelled. */
  readonly isListed?: boolean;
}

/**
 * Takes a job out of the queue, wherever it is; the server announces it to the workers that run it.
 *
 * @param isMeant Whether a job that has the id is to be taken out; by default each.
 * @returns Whether there was one.
 * @throws {Unavailable} If it is unconfirmed.
 */
export async function cancelJob(
  call: Call,
  queue: QueueContext,
  token: string,
  known: Cancelling,
  isMeant: (message: StoredMessage) => boolean = () => true,
): Promise<boolean> {
  const { names, stream } = queue;
  for (;;) {
    const message = await findJobMessage(call, names, token);
    if (!message || !isMeant(message)) break;
    if (await deleteMessage(call, names.stream, message.sequence)) sendCancelled(call, names, token, known);
    await passFiringSchedule(call, names, token);
    // One of several that are due together may not be on its way yet, behind which the call could wait.
    if (isDelayed(message) && await mayBeFiring(call, queue, message)) await waitToLookAgain(call);
  }
  if (!known.deleted) await stream.checkKind(call);
  if (known.deleted || !mayBeRemoved(call, "message", names.stream)) return known.deleted;
  if (known.isListed) return true;
  throw unknownRemoval();
}

/** Sends the event at the first delete, before anything else: a call that waits for the job finds it gone, and needs the reason. */
function sendCancelled({ session }: Call, names: QueueNames, token: string, known: Cancelling): void {
  if (!known.deleted) new EventSender(names).send(session, token, "cancelled");
  known.deleted = true;
}

/**
 * Returns when a schedule of this id that was firing has fired: a publish that the server must refuse waits behind it. Without this, a job that is
 * cancelled while its schedule fires comes back now and then.
 */
async function passFiringSchedule(call: Call, names: QueueNames, token: string): Promise<void> {
  const headers = new HeaderBlock(guardHeaders(names, token, Number.MAX_SAFE_INTEGER));
  const stored = publish(call, names.later("normal", token), "", headers, true);
  await orElse(null, stored, ErrorCode.wrongLastSequence, ErrorCode.wrongLastSequenceUnknown);
}
