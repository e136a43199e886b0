import type { Msg } from "@nats-io/nats-core";
import { headerOf } from "./raw_headers.ts";
import { headerPairs, type StoredMessage } from "./stored_message.ts";

/** A message that a consumer delivered: where it was stored is told by the tokens of its reply subject. */
export class DeliveredMessage implements StoredMessage {
  readonly #message: Msg;
  readonly sequence: number;
  /** Number of this delivery among the consumer's, from 1. */
  readonly delivery: number;
  /** Messages that match the consumer and are not delivered yet. */
  readonly pending: number;
  readonly #nanoseconds: string;

  constructor(message: Msg) {
    this.#message = message;
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<delivery>.<time>.<pending>, newer servers with two tokens more before the stream.
    const tokens = message.reply!.split(".");
    const at = tokens.length > 9 ? 7 : 5;
    this.sequence = Number(tokens[at]);
    this.delivery = Number(tokens[at + 1]);
    this.#nanoseconds = tokens[at + 2];
    this.pending = Number(tokens[at + 3]);
  }

  get subject(): string {
    return this.#message.subject;
  }

  get time(): Date {
    return new Date(Number(this.#nanoseconds.slice(0, -6)));
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
