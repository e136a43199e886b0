import type { Msg } from "@nats-io/nats-core";
import { parseAcknowledgement } from "../acknowledgement.ts";
import { headerOf } from "../../connection/nats/raw_headers.ts";
import { headerPairs, type StoredMessage } from "../stored_message.ts";

/** A message that a consumer delivered: where it was stored stands in the tokens of its reply subject. */
export class DeliveredMessage implements StoredMessage {
  readonly #message: Msg;
  readonly sequence: number;
  /** Number of this delivery among the consumer's, from 1. */
  readonly delivery: number;
  /** Messages that match the consumer and are not delivered yet. */
  readonly pending: number;
  readonly #storedAt: string;

  constructor(message: Msg) {
    this.#message = message;
    const { sequence, delivery, storedAt, pending } = parseAcknowledgement(message.reply!);
    this.sequence = sequence;
    this.delivery = delivery;
    this.#storedAt = storedAt;
    this.pending = pending;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get time(): Date {
    return new Date(Number(this.#storedAt.slice(0, -6)));
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  header(name: string): string | undefined {
    return headerOf(this.#message, name);
  }

  headers(): [string, string][] {
    return headerPairs(this.#message);
  }
}
