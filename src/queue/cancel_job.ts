import { Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { HeaderBlock } from "../wire/headers.ts";
import { publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { deleteMessage } from "../wire/streams.ts";
import { findJobMessage } from "./find_job.ts";
import { guardHeaders } from "./publish_job.ts";
import { PRIORITIES, type QueueNames } from "./queue_names.ts";

/** What a call of cancel has done so far, over all its attempts. */
export interface CancelCall {
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
export async function cancelJob(
  session: Session,
  names: QueueNames,
  token: string,
  call: CancelCall,
  deadline: number,
): Promise<boolean> {
  for (;;) {
    const message = await findJobMessage(session, names, token, deadline);
    if (!message) break;
    try {
      if (await deleteMessage(session, names.stream, message.sequence, deadline)) call.deleted = true;
    } catch (error) {
      if (error instanceof Unavailable) call.unsure = true;
      throw error;
    }
    await passFiringSchedule(session, names, token, deadline);
  }
  if (!call.deleted && call.unsure) throw new Unavailable("timeout", "The answer of a delete was lost");
  return call.deleted;
}

/**
 * Returns when a schedule of this id that was firing has fired: a publish that the server must refuse waits behind it. Without this, a job that is
 * cancelled while its schedule fires comes back now and then.
 */
async function passFiringSchedule(session: Session, names: QueueNames, token: string, deadline: number): Promise<void> {
  const headers = new HeaderBlock(guardHeaders(names, token, Number.MAX_SAFE_INTEGER));
  try {
    await publish(session, names.later(PRIORITIES[1], token), "", deadline, headers);
  } catch (error) {
    if (
      !isServerError(error, ErrorCode.wrongLastSequence) && !isServerError(error, ErrorCode.wrongLastSequenceUnknown)
    ) throw error;
  }
}
