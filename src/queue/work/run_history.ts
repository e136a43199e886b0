import { leaderGet } from "../../wire/leader_get.ts";
import { deleteMessage } from "../../wire/streams.ts";
import type { Delivery } from "./delivery.ts";
import type { DeliveryCalls } from "./delivery_calls.ts";
import { findJobMessage } from "../store/find_job.ts";
import type { PastRuns } from "../store/job_results.ts";
import type { QueueCall } from "../store/queue_call.ts";
import type { QueueParts } from "../store/queue_parts.ts";

/** What happened to a delivery's job before: earlier runs, earlier and newer messages. */
export class RunHistory {
  readonly #parts: QueueParts;
  readonly #calls: DeliveryCalls;

  constructor(parts: QueueParts, calls: DeliveryCalls) {
    this.#parts = parts;
    this.#calls = calls;
  }

  /**
   * Whether this process has reported the end of this message, or tried to; or of what the same delayed message had made before: a server that was
   * killed can have it back, and fire it once more.
   */
  hasEnded({ sequence, storedAt, firing }: Delivery): boolean {
    const { ended } = this.#parts;
    return ended.has(sequence, storedAt) || (firing !== undefined && ended.hasFiring(firing));
  }

  /** What is known of earlier runs, from the leader; `undefined` if nothing is, `null` without an answer. */
  async pastRuns(delivery: Delivery): Promise<PastRuns | undefined | null> {
    return await this.#calls.demand(delivery, "results", (call) => this.#parts.results.pastRuns(call, delivery));
  }

  /** Keeps what is known of its runs; tells whether that is confirmed. */
  async keep(delivery: Delivery, runs: PastRuns): Promise<boolean> {
    const store = (call: QueueCall) => this.#parts.results.storePastRuns(call, delivery, runs).then(() => true);
    return await this.#calls.demand(delivery, "results", store) === true;
  }

  /** Removes the message that a moved copy replaces, if whoever moved it died before that; tells whether it is gone. */
  async clearReplaced(delivery: Delivery): Promise<boolean> {
    const { stream } = this.#parts.names;
    const { replaces } = delivery.headers;
    if (replaces === undefined || replaces >= delivery.sequence) return true;
    const cleared = await this.#calls.demand(delivery, "look-ups", async ({ session, deadline }) => {
      const old = await leaderGet(session, stream, { seq: replaces }, deadline);
      if (old?.subject.endsWith(`.${delivery.token}`)) await deleteMessage(session, stream, replaces, deadline);
      return true;
    });
    return cleared === true;
  }

  /** Whether a newer message of the same id is in the queue; `null` without an answer. */
  async isSuperseded(delivery: Delivery): Promise<boolean | null> {
    return await this.#calls.demand(delivery, "look-ups", async (call) => {
      const newest = await findJobMessage(call, delivery.token);
      return newest !== null && newest.sequence > delivery.sequence;
    });
  }
}
