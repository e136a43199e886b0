import { JetStreamStoreError } from "../../errors.ts";
import type { Session } from "../../wire/session.ts";
import { deleteMessage } from "../../wire/streams.ts";
import type { Delivery } from "./delivery.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { Acknowledgements } from "./_acknowledgements.ts";
import type { DeliveryCall, DeliveryCalls } from "./delivery_calls.ts";

const NOT_CONFIRMED = Promise.resolve(false);

/** Acknowledges deliveries, hands them back and extends their leases. */
export class Acknowledger {
  readonly #queue: QueueContext;
  readonly #calls: DeliveryCalls;
  #acknowledgements: Acknowledgements | null = null;

  constructor(queue: QueueContext, calls: DeliveryCalls) {
    this.#queue = queue;
    this.#calls = calls;
  }

  /**
   * Acknowledgements go over this session from now on.
   *
   * @param options How to listen to its end.
   */
  serve(session: Session, options: AddEventListenerOptions): void {
    this.#acknowledgements = new Acknowledgements(session);
    session.signal.addEventListener("abort", () => this.#acknowledgements = null, options);
  }

  /** Acknowledges the job over the present session, if its lease is held; returns whether that is confirmed. If not, it is to be repeated. */
  acknowledge(delivery: Delivery): Promise<boolean> {
    const { doubt, isSure } = this.#calls;
    if (doubt) return doubt.then(() => this.acknowledge(delivery));
    const now = performance.now();
    if (now >= delivery.leaseUntil) return NOT_CONFIRMED;
    this.#queue.ended.remember(delivery);
    if (!this.#acknowledgements || !isSure || delivery.orphaned) return NOT_CONFIRMED;
    return this.#acknowledgements.send(delivery, now);
  }

  /**
   * Acknowledges the job for as long as its lease is held; returns whether that is confirmed.
   *
   * @param refused Called at the first refusal.
   */
  async finish(delivery: Delivery, refused?: () => Promise<unknown>): Promise<boolean> {
    if (await this.acknowledge(delivery)) return true;
    return await this.#calls.persist(delivery, "acknowledgements", async (call) => {
      if (!delivery.orphaned) return await call.session.requests.request(delivery.ack, "+ACK", call.deadline);
      // The consumer that delivered it is gone: one made again would take the acknowledgement for another's.
      return await deleteMessage(call, this.#queue.names.stream, delivery.sequence);
    }, refused) !== null;
  }

  /** Lets the server deliver a job again after a run, as it is. If that is lost, the job is delivered again when its lease is over. */
  async handBack(delivery: Delivery, delay: number): Promise<true | null> {
    const once = this.#handBackOnce(delivery, delay);
    return await this.#calls.persist<true>(delivery, "acknowledgements", once);
  }

  /**
   * Lets the server deliver a job again that has not started.
   *
   * @throws {JetStreamStoreError} If the server refuses.
   */
  async handBackUnstarted(delivery: Delivery, delay: number): Promise<true | null> {
    return await this.#calls.demand(delivery, "acknowledgements", this.#handBackOnce(delivery, delay));
  }

  /** Sent once: the server would apply a repeat to the next delivery, and deliver the job again while it runs. */
  #handBackOnce(delivery: Delivery, delay: number): DeliveryCall<true> {
    const word = delay > 0 ? `-NAK {"delay": ${Math.round(delay * 1e6)}}` : "-NAK";
    let sent = false;
    delivery.handedBack = true;
    return async (call) => {
      if (sent) return true;
      sent = true;
      try {
        await call.session.requests.request(delivery.ack, word, call.deadline);
      } catch (error) {
        // What was refused has not reached the server.
        if (error instanceof JetStreamStoreError) sent = false;
        throw error;
      }
      return true;
    };
  }

  /** Tells the server that the job is still worked on, which makes its lease begin anew. */
  async extend(delivery: Delivery): Promise<void> {
    const sent = performance.now();
    const extended = await this.#calls.demand(
      delivery,
      "acknowledgements",
      (call) => call.session.requests.request(delivery.ack, "+WPI", call.deadline),
    );
    if (extended) delivery.extendTo(sent + delivery.lease);
  }

  /** Lets the server note since when the job is worked on: otherwise, should it restart, it counts the lease from when the message was stored. */
  touch(delivery: Delivery): void {
    const { session } = this.#calls;
    if (session && session.now(delivery.receivedAt) - delivery.storedTime > delivery.lease / 2) {
      session.send(delivery.ack, "+WPI");
    }
  }
}
