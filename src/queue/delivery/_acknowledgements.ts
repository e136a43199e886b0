import { nextTick } from "node:process";
import { Unavailable } from "../../connection/unavailable.ts";
import { JetStreamStoreError } from "../../errors.ts";
import type { Session } from "../../wire/session.ts";
import type { Delivery } from "./delivery.ts";

/** Milliseconds after which an unanswered acknowledgement is given up, to be sent again. */
const FIRST_ATTEMPT_MS = 1_000;

/** Acknowledgements of which the last one requests a reply. */
interface Group {
  /** Subject of the last one. */
  last: string;
  /** When the first of the leases ends, by `performance.now()`. */
  deadline: number;
  readonly confirmed: Promise<boolean>;
}

/**
 * Acknowledges jobs over one session.
 *
 * A server that is alone deals with the acknowledgements of a durable consumer in the order in which they come over a connection. So of those that
 * are sent within one turn of the event loop only the last one requests a reply, which confirms all. In a cluster the leader may change in
 * between, and what an earlier session has brought the server may have forgotten: there each one asks.
 */
export class Acknowledgements {
  readonly #session: Session;
  readonly #begun = performance.now();
  /** What is being collected, by the durable consumer. */
  readonly #groups: Map<string, Group> = new Map();

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Takes a job off the queue; returns whether that is confirmed.
   *
   * @param now The moment, by `performance.now()`.
   */
  send({ ack, consumer, leaseUntil, receivedAt }: Delivery, now: number): Promise<boolean> {
    const deadline = Math.min(leaseUntil, now + FIRST_ATTEMPT_MS);
    if (!this.#session.requests.alone || receivedAt < this.#begun) return this.#ask(ack, deadline);
    const group = this.#groups.get(consumer);
    if (!group) return this.#begin(consumer, ack, deadline);
    try {
      this.#session.send(group.last, "+ACK");
    } catch {
      // What cannot be sent fails when the group asks for its confirmation, and all of the group is acknowledged again.
      return this.#ask(ack, deadline);
    }
    group.last = ack;
    group.deadline = Math.min(group.deadline, deadline);
    return group.confirmed;
  }

  async #ask(ack: string, deadline: number): Promise<boolean> {
    try {
      await this.#session.requests.request(ack, "+ACK", deadline);
      return true;
    } catch (error) {
      if (error instanceof Unavailable || error instanceof JetStreamStoreError) return false;
      throw error;
    }
  }

  #begin(consumer: string, last: string, deadline: number): Promise<boolean> {
    const { promise: confirmed, resolve } = Promise.withResolvers<boolean>();
    const group: Group = { last, deadline, confirmed };
    this.#groups.set(consumer, group);
    // By then all that ends in this turn is here.
    nextTick(() => {
      this.#groups.delete(consumer);
      resolve(this.#ask(group.last, group.deadline));
    });
    return confirmed;
  }
}
