import type { Delivery } from "./delivery.ts";
import type { QueueNames } from "../format/queue_names.ts";

/** What was handed to a consumer and has not ended: what waits for its start, and what runs. */
export class HeldJobs {
  readonly #ticking: Set<string>;
  readonly #names: QueueNames;
  /** What has not started, by the sequence of its message, in the order in which it came. */
  readonly waiting: Map<number, Delivery> = new Map();
  /** What runs, or has run and is not confirmed, by the sequence of its message. */
  readonly running: Map<number, Delivery> = new Map();
  /** Runs whose handler has not ended, the oldest first. */
  readonly handling: Set<Delivery> = new Set();

  /** @param ticking The schedules that run in this process. */
  constructor(ticking: Set<string>, names: QueueNames) {
    this.#ticking = ticking;
    this.#names = names;
  }

  /** All of it. */
  get all(): Delivery[] {
    return [...this.running.values(), ...this.waiting.values()];
  }

  /** Whether the message of this sequence is here, and its lease held. */
  has(sequence: number): boolean {
    return this.running.get(sequence)?.ours === true || this.waiting.get(sequence)?.ours === true;
  }

  /** What of it a durable consumer has handed out. */
  of(consumer: string): Delivery[] {
    return this.all.filter((delivery) => delivery.consumer === consumer);
  }

  /** What is here of the message of this sequence. */
  find(sequence: number): Delivery | undefined {
    return this.running.get(sequence) ?? this.waiting.get(sequence);
  }

  /** Whether it has to wait for a run to end: of the same schedule, or of a message with its sequence. */
  isBusy(delivery: Delivery): boolean {
    return this.running.has(delivery.sequence) || this.isBehind(delivery);
  }

  /** Whether it is the tick of a schedule that runs. */
  isBehind({ tick, token }: Delivery): boolean {
    return tick && this.#ticking.has(this.#names.idFilter(token));
  }

  /** The next one that can start. */
  next(): Delivery | undefined {
    for (const delivery of this.waiting.values()) if (!this.isBusy(delivery)) return delivery;
  }

  /** How many of those that wait could start. The others, at most one for each schedule that runs, take no room from them. */
  get load(): number {
    if (this.#ticking.size === 0) return this.waiting.size;
    return [...this.waiting.values()].filter((delivery) => !this.isBusy(delivery)).length;
  }

  /** Takes out the ticks of a schedule that wait and are not its newest one. */
  takeOlder(token: string): Delivery[] {
    const ticks = [...this.waiting.values()].filter((delivery) => delivery.token === token);
    const older = ticks.sort((a, b) => a.sequence - b.sequence).slice(0, -1);
    for (const { sequence } of older) this.waiting.delete(sequence);
    return older;
  }

  /** A run begins. */
  start(delivery: Delivery): void {
    const { sequence, tick, token } = delivery;
    this.waiting.delete(sequence);
    this.running.set(sequence, delivery);
    this.handling.add(delivery);
    if (tick) this.#ticking.add(this.#names.idFilter(token));
  }

  /** A run has ended. */
  end(delivery: Delivery): void {
    const { sequence, tick, token } = delivery;
    this.handling.delete(delivery);
    this.running.delete(sequence);
    if (tick) this.#ticking.delete(this.#names.idFilter(token));
  }

  /** It is not ours any more: its run ends, and nothing is reported. */
  release(delivery: Delivery, why: string): void {
    if (this.waiting.get(delivery.sequence) === delivery) this.waiting.delete(delivery.sequence);
    delivery.release(why);
  }
}
