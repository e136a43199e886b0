import type { RunningTicks } from "./running_ticks.ts";
import type { Delivery } from "./delivery.ts";

/** The deliveries that a worker holds: those that wait for their start, and those that run. It alone keeps which, since when and for how long. */
export class HeldJobs {
  readonly #ticks: RunningTicks;
  /** What has not started, by the sequence of its message, in the order in which it was delivered. */
  readonly waiting: Map<number, Delivery> = new Map();
  /** What runs, or has run and is not confirmed, by the sequence of its message. */
  readonly running: Map<number, Delivery> = new Map();
  /** Runs whose handler has not ended, the oldest first. */
  readonly handling: Set<Delivery> = new Set();

  /** When the durable consumers were created that deliver, by their names. */
  readonly #consumers: Map<string, string> = new Map();

  constructor(ticks: RunningTicks) {
    this.#ticks = ticks;
  }

  /** All of it. */
  get all(): Delivery[] {
    return [...this.running.values(), ...this.waiting.values()];
  }

  /** Whether the message of this sequence is held. */
  has(sequence: number): boolean {
    return this.running.get(sequence)?.ours === true || this.waiting.get(sequence)?.ours === true;
  }

  /** Whether a message is held, before a sequence, that a firing of a delayed job has made, or that supersedes it. */
  hasFiring(firing: string, before: number): boolean {
    return this.all.some((held) => held.ours && held.sequence < before && held.firings.includes(firing));
  }

  /** How many jobs of a durable consumer there are. */
  countOf(consumer: string): number {
    return this.all.filter((delivery) => delivery.consumer === consumer).length;
  }

  /** The delivery of the message of this sequence. */
  find(sequence: number): Delivery | undefined {
    return this.running.get(sequence) ?? this.waiting.get(sequence);
  }

  /** Whether it has to wait for a run to end: of the same schedule, or of a message with its sequence. */
  isBlocked(delivery: Delivery): boolean {
    return this.running.has(delivery.sequence) || this.isBlockedTick(delivery);
  }

  /** Whether it is the tick of a schedule that runs. */
  isBlockedTick(delivery: Delivery): boolean {
    return this.#ticks.blocks(delivery);
  }

  /** The next one that can start. */
  next(): Delivery | undefined {
    for (const delivery of this.waiting.values()) if (!this.isBlocked(delivery)) return delivery;
  }

  /** How many of those that wait could start. The others, at most one for each schedule that runs, take no room from them. */
  get load(): number {
    if (!this.#ticks.any) return this.waiting.size;
    return [...this.waiting.values()].filter((delivery) => !this.isBlocked(delivery)).length;
  }

  /** A delivery waits for its start. */
  add(delivery: Delivery): void {
    this.waiting.set(delivery.sequence, delivery);
  }

  /** Takes out the ticks that wait and are not the newest one of the schedule of this tick. */
  takeOlderTicks({ tick, token }: Delivery): Delivery[] {
    if (!tick) return [];
    const ticks = [...this.waiting.values()].filter((delivery) => delivery.token === token);
    const older = ticks.sort((a, b) => a.sequence - b.sequence).slice(0, -1);
    for (const { sequence } of older) this.waiting.delete(sequence);
    return older;
  }

  /** A run begins. */
  start(delivery: Delivery): void {
    this.waiting.delete(delivery.sequence);
    this.running.set(delivery.sequence, delivery);
    this.handling.add(delivery);
    this.#ticks.start(delivery);
  }

  /** A run has ended. */
  end(delivery: Delivery): void {
    this.handling.delete(delivery);
    this.running.delete(delivery.sequence);
    this.#ticks.end(delivery);
  }

  /** It belongs to another worker by now: its run ends, and nothing is reported. */
  release(delivery: Delivery, why: string): void {
    if (this.waiting.get(delivery.sequence) === delivery) this.waiting.delete(delivery.sequence);
    delivery.release(why);
  }

  /** Releases all of it. */
  releaseAll(why: string): void {
    for (const delivery of this.all) this.release(delivery, why);
  }

  /** A durable consumer was created at this time, or is not there: what an earlier one of its name has delivered is orphaned. */
  see(consumer: string, created: string | undefined): void {
    const known = this.#consumers.get(consumer);
    if (created === undefined || known !== undefined && known !== created) this.orphan(consumer);
    if (created !== undefined) this.#consumers.set(consumer, created);
  }

  /** The durable consumer is gone: what runs ends by its message, and what has not begun, or waits for a look-up, is delivered by another. */
  orphan(consumer: string): void {
    for (const delivery of this.all) {
      if (delivery.consumer !== consumer) continue;
      delivery.orphaned = true;
      if (!delivery.begun) this.release(delivery, "The durable consumer that delivered the job was deleted");
    }
  }
}
