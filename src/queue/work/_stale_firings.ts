import { JetStreamStoreError } from "../../errors.ts";
import { LimitedLog } from "../../connection/limited_log.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { Call } from "../../wire/call.ts";
import type { Delivery } from "../delivery/delivery.ts";
import { messageOf } from "../../shown.ts";
import type { MessageSurvey } from "../source/message_survey.ts";
import { isSupersededFiring } from "../store/newer_messages.ts";
import type { QueueContext } from "../store/queue_context.ts";

/**
 * Finds what schedules have made that must not run: a server that was killed can have removed delayed messages back, alone or as one of three
 * replicas. It fires those whose moment has passed as soon as it leads, whatever has become of their jobs. So what is fired late is checked: in the
 * stream, for a message that takes its place, and at all workers, which remember what they have ended.
 */
export class StaleFirings {
  readonly #queue: QueueContext;
  readonly #survey: MessageSurvey;
  readonly #log: LimitedLog;

  constructor(queue: QueueContext, survey: MessageSurvey) {
    this.#queue = queue;
    this.#survey = survey;
    this.#log = new LimitedLog(queue.context.logger);
  }

  /** Whether what was fired late is stale: its job has ended, was changed, or is to be retried. */
  async is(call: Call, delivery: Delivery): Promise<boolean> {
    const { firing, sequence } = delivery;
    if (firing === undefined) return false;
    const { names } = this.#queue;
    if (await isSupersededFiring(call, names, delivery)) return true;
    try {
      return await this.#survey.isFiringKnown(call.session, firing, sequence);
    } catch (error) {
      // This one would answer, too, if the server allowed it to listen.
      const isAlone = error instanceof Unavailable && error.reason === "no_responders";
      if (!isAlone && !(error instanceof JetStreamStoreError)) throw error;
      // It is more likely that the server was down when it was due: then the job would be lost.
      const line =
        `Queue ${names.queue} runs jobs whose schedules fire late, as no worker can be asked whether they ended`;
      this.#log.warnNew(line, `${line}: ${messageOf(error)}`);
      return false;
    }
  }
}
