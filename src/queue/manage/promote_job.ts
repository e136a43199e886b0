import type { QueueStore } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { ErrorCode, isServerError } from "../../wire/api.ts";
import { publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { guardHeaders } from "../format/guard_headers.ts";
import { type JobHeaders, parseJobHeaders } from "../format/job_headers.ts";
import { isReplacement, kindOf, tokenOf } from "../format/queue_names.ts";
import {
  keptHeaders,
  mayBeFiring,
  readySubject,
  REPLACE_VERSION,
  waitToLookAgain,
} from "../publish/replaceable_message.ts";
import { deliveredUpTo, findJobMessage, mayJobBeStored } from "../store/find_job.ts";
import { isAbandoned, takesPlace } from "../store/job_turn.ts";

/**
 * Makes a delayed job wait for a worker, in one step on the server, which stores the waiting message and removes the schedule.
 *
 * @returns Whether it waits; `false`: there is none, or it is active.
 * @throws {Unavailable} If it is unconfirmed.
 */
export async function promoteJob(call: Call, queue: QueueStore, token: string): Promise<boolean> {
  call.session.server.require(REPLACE_VERSION, "Promoting a job");
  for (;;) {
    const present = await findJobMessage(call, queue.names, token);
    if (!present) {
      await queue.stream.checkKind(call);
      return notPromoted(call, queue, token);
    }
    const headers = parseJobHeaders(present.headers());
    if (!isReplacement(present.subject) || await isLeft(call, queue, present, headers)) {
      if (kindOf(present.subject) !== "later") {
        const delivered = await deliveredUpTo(call, queue.names, present.subject);
        return (delivered ?? 0) < present.sequence || notPromoted(call, queue, token);
      }
      // Its schedule makes it wait within a second. A promoted copy would be a second one.
      if (await mayBeFiring(call, queue, present)) return true;
      if (await promoteMessage(call, queue, present, headers)) return true;
    }
    await waitToLookAgain(call);
  }
}

/** Whether the job has only the copy left of a call that died while it replaced the waiting message. */
async function isLeft(call: Call, { names }: QueueStore, copy: StoredMessage, headers: JobHeaders): Promise<boolean> {
  return isAbandoned(call, copy) && await takesPlace(call, names, copy, headers);
}

/** A job that is active or gone was not promoted, unless a reply was lost: then that may be the end of it. */
function notPromoted(call: Call, { names }: QueueStore, token: string): false {
  if (mayJobBeStored(call, names, token)) throw new Unavailable("timeout", "The reply to a promote was lost");
  return false;
}

async function promoteMessage(
  call: Call,
  queue: QueueStore,
  present: StoredMessage,
  headers: JobHeaders,
): Promise<boolean> {
  const { subject, sequence, data } = present;
  // The same nonce: it is the same firing of the job, should a killed server have the delayed message back.
  const nonce: [string, string][] = headers.nonce === undefined ? [] : [["Job-Nonce", headers.nonce]];
  const after: [string, string][] = headers.after ? [["Job-After", headers.after.join(",")]] : [];
  const schedule: [string, string][] = [["Nats-Scheduler", subject], ["Nats-Schedule-Next", "purge"]];
  const guard = guardHeaders(queue.names, tokenOf(subject), sequence);
  const block = new HeaderBlock(keptHeaders(present, headers), nonce, after, schedule, guard);
  try {
    await publish(call, readySubject(queue, present), data, block, true);
    return true;
  } catch (error) {
    if (isServerError(error, ErrorCode.wrongLastSequence, ErrorCode.wrongLastSequenceUnknown)) return false;
    throw error;
  }
}
