import { type Call, callWithin } from "../../wire/call.ts";
import type { Msg } from "@nats-io/nats-core";
import { delay } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { Session } from "../../wire/session.ts";
import { streamInfo } from "../../wire/streams.ts";
import { parseRate } from "../format/start_rate.ts";
import { partitionNames, PRIORITIES, tokenOf } from "../format/queue_names.ts";
import { type ConsumerInfo, consumerInfo } from "../store/durable_consumer.ts";
import { listenToQueue } from "../store/queue_advisories.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { Capacity } from "./capacity.ts";
import { Delivery } from "../delivery/delivery.ts";
import type { HeldJobs } from "../delivery/held_jobs.ts";
import type { PullListener, PullSource } from "./_pull_listener.ts";
import { PullOrder } from "./_pull_order.ts";
import { Pulls } from "./_pulls.ts";
import type { SourceListener } from "./source_listener.ts";
import { WaitingPlaces, type WaitingPlacesListener } from "./_waiting_places.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds after which all servers of a cluster know of a subscription. */
const SUBSCRIBED_MS = 1_000;

/** Milliseconds within which the server must say why a pull gets no heartbeat. */
const EXPLANATION_TIMEOUT_MS = 500;

/** Which jobs a worker serves. */
export interface ServedJobs {
  /** The most urgent first. */
  readonly priorities: readonly string[];
  /** Whether also those that have a key. */
  readonly keyed: boolean;
}

/** What a worker holds, and how many more jobs it requests. */
export interface SourceDemand {
  readonly held: HeldJobs;
  readonly capacity: Capacity;
}

/** The queue as one session serves it, until that breaks off; then the source subscribes anew. */
export class QueueSubscription implements PullListener, WaitingPlacesListener {
  readonly #session: Session;
  readonly #queue: QueueContext;
  readonly #served: ServedJobs;
  readonly #demand: SourceDemand;
  readonly #listener: SourceListener;
  readonly #broken = Promise.withResolvers<string>();
  readonly #places: WaitingPlaces;
  readonly #order = new PullOrder();
  /** Of the priorities that are served, the most urgent first, and behind them of the partitions. */
  #pulls: Pulls[] = [];
  #listening: { stop(): void }[] = [];
  #filling = false;
  /** Set once open; earlier deliveries may belong to another stream. */
  #isOpen = false;
  #isBroken = false;
  /** How often the settings are said to have changed, since it began to look at them. */
  #changes = 0;
  #closed = false;
  /** When the stream was created. */
  created = "";

  constructor(
    session: Session,
    queue: QueueContext,
    served: ServedJobs,
    demand: SourceDemand,
    listener: SourceListener,
  ) {
    this.#session = session;
    this.#queue = queue;
    this.#served = served;
    this.#demand = demand;
    this.#listener = listener;
    this.#places = new WaitingPlaces(session, queue, this);
  }

  /** Resolves when it has broken off, with the reason. */
  get whenBroken(): Promise<string> {
    return this.#broken.promise;
  }

  /**
   * Opens the queue, and begins to listen.
   *
   * @param mayCreate Whether a queue that is missing is made; otherwise the result is `false`.
   */
  async open(mayCreate: boolean): Promise<boolean> {
    const { names, stream } = this.#queue;
    if (!mayCreate && !await streamInfo(this.#call(), names.stream)) return false;
    await stream.openConsumers(this.#call());
    this.#listening = listenToQueue(this.#session, names, {
      deleted: (sequence) => this.#listener.deleted(sequence),
      destroyed: () => this.#change(),
      changed: () => this.#change(),
      changing: (token) => this.#queue.changing.note(token),
    });
    await this.#look();
    if (!this.#session.requests.alone) this.#lookAgain();
    return this.#isOpen = true;
  }

  /** The servers of a cluster learn of a subscription one after the other: until all of them have, announcements are missed. */
  async #lookAgain(): Promise<void> {
    const settle = this.#queue.changing.doubt();
    let isListed = false;
    try {
      await delay(SUBSCRIBED_MS, { signal: this.#session.signal, persistent: false });
      if (this.#closed) return;
      await this.#look();
      isListed = true;
    } catch (error) {
      this.#break(messageOf(error));
    } finally {
      settle(isListed);
    }
  }

  /** Breaks off, and takes nothing of what is under way: after a stop of the process it looks fresh and is not. */
  abandon(reason: string): void {
    for (const pulls of this.#pulls) pulls.stop();
    this.#break(reason);
  }

  /** Asks for no more, and takes what is under way: a delivery that is not taken waits for its lease to end. */
  async drain(): Promise<void> {
    await Promise.all(this.#pulls.map((pulls) => pulls.drain()));
  }

  /** Stops listening. */
  close(): void {
    this.#closed = true;
    this.#places.stop();
    for (const open of [...this.#pulls, ...this.#listening]) open.stop();
  }

  /**
   * Fetches jobs as long as they are wanted and there are any; only if there is room left then, the server is to deliver them as they are stored.
   */
  fill(): void {
    // This is called when a job ends, and mostly none is wanted then.
    if (!this.#isOpen || this.#filling || this.#closed || this.#demand.capacity.wanted <= 0) return;
    this.#fill();
  }

  async #fill(): Promise<void> {
    const { capacity } = this.#demand;
    this.#filling = true;
    try {
      const empty = new Set<Pulls>();
      for (let rest = capacity.wanted; rest > 0;) {
        const pulls = this.#next(empty);
        if (!pulls) break;
        const batch = Math.min(rest, pulls.maxBatch);
        // It has none for anybody while all that may be active are here.
        const fetched = this.#isExhausted(pulls) ? 0 : await pulls.fetch(batch);
        if (fetched < batch) empty.add(pulls);
        // What one had not, the next may have. Only after a full batch more may be wanted.
        rest = fetched < rest ? rest - fetched : capacity.wanted;
      }
      const share = Math.floor(capacity.room / PRIORITIES.length);
      for (const pulls of empty) {
        if (capacity.room <= 0) break;
        if (this.#canPull(pulls)) pulls.wait(Math.min(Math.max(1, share), pulls.maxBatch));
      }
    } catch (error) {
      this.#break(messageOf(error));
    } finally {
      this.#filling = false;
    }
  }

  #next(empty: Set<Pulls>): Pulls | undefined {
    const order = this.#order.next(this.#pulls, this.#served.priorities.length);
    return order.find((pulls) => !empty.has(pulls) && this.#canPull(pulls));
  }

  #canPull(pulls: Pulls): boolean {
    return !pulls.stopped && !pulls.waiting && !this.#places.areFull(pulls);
  }

  #isExhausted({ limit, consumer }: Pulls): boolean {
    return limit !== Infinity && this.#demand.held.countOf(consumer) >= limit;
  }

  /** Looks which durable consumers there are, at their settings, and which jobs are being changed. Pulls that wait are kept: what is under way to them would be lost. */
  async #look(): Promise<void> {
    const call = this.#call();
    const { names } = this.#queue;
    const info = await streamInfo(call, names.stream, { subjects_filter: names.replacement("*") });
    // Without it the limit of the rate is not known.
    if (!info || this.#isOpen && info.created !== this.created) {
      throw new Unavailable("no_responders", "The stream was deleted");
    }
    for (const subject of Object.keys(info.state.subjects ?? {})) this.#queue.changing.note(tokenOf(subject));
    // The partitions are made when a job first has a key.
    const keyed = this.#served.keyed && info.state.consumer_count > PRIORITIES.length;
    const { priorities } = this.#served;
    const consumers = [...priorities, ...keyed ? partitionNames() : []];
    const infos = await Promise.all(consumers.map((name) => consumerInfo(call, names, name)));
    if (this.#closed) return;
    const present = infos.filter((info) => info !== null);
    consumers.forEach((name, i) => this.#demand.held.see(name, infos[i]?.created));
    const missing = priorities.find((name) => !present.some((info) => info.name === name));
    if (missing !== undefined) throw new Unavailable("no_responders", `The durable consumer ${missing} is gone`);
    // Whoever makes a partition again announces it.
    if (present.length < consumers.length) this.#queue.stream.partitions.remake(call);
    this.created = info.created;
    this.#listener.rateLimited(this.#session, parseRate(info.config.metadata));
    this.#pulls = present.map((info) => this.#pullsOf(info));
    if (this.#pulls.length > 0) this.#listener.leased(Math.min(...this.#pulls.map(({ lease }) => lease)));
  }

  #pullsOf(info: ConsumerInfo): Pulls {
    const present = this.#pulls.find(({ consumer }) => consumer === info.name);
    if (!present) return new Pulls(this.#session, this.#queue.names.stream, info, this);
    present.goBy(info);
    return present;
  }

  /** Tells whether it serves, once the server has shown that it does. */
  tellState(): void {
    const paused = this.#pulls.length > 0 && this.#pulls.every(({ paused }) => paused);
    if (this.#isBroken || !paused && !this.#pulls.every(({ isServed }) => isServed)) return;
    this.#places.served();
    this.#listener.serves(paused ? "paused" : "serving", null);
  }

  /** From its pulls: a job was delivered. */
  delivered(pulls: PullSource, message: Msg, waited: boolean, at: number): void {
    this.#listener.delivered(new Delivery(message, pulls, at), waited);
  }

  /** From its pulls: one that waited has ended. What the next one requests depends on how many workers wait now. */
  async ended({ consumer }: PullSource, expired: boolean): Promise<void> {
    if (expired) {
      // The next pull meets the reason of a failure.
      const info = await consumerInfo(this.#call(), this.#queue.names, consumer).catch(() => null);
      if (info) this.#pulls.find((pulls) => pulls.consumer === consumer)?.goBy(info);
    }
    this.fill();
  }

  /** From its pulls: the server serves one. */
  served(): void {
    this.tellState();
  }

  /** From its pulls: the server does not answer a pull for which it has no place. Any other silence means that the pull is lost. */
  async silent(pulls: PullSource, reason: string): Promise<void> {
    if (!this.#isBroken) this.#listener.serves("impaired", reason);
    const call = this.#call(EXPLANATION_TIMEOUT_MS);
    const info = await consumerInfo(call, this.#queue.names, pulls.consumer).catch(() => null);
    if (this.#closed || info && this.#places.note(pulls, info)) return;
    this.#break(reason);
  }

  /** From its pulls: the durable consumer does not serve. */
  broken({ consumer }: PullSource, reason: string): void {
    if (/Consumer Deleted/i.test(reason)) this.#demand.held.orphan(consumer);
    this.#break(reason);
  }

  /** From its waiting places: there is none. */
  full(reason: string): void {
    if (!this.#isBroken) this.#listener.serves("impaired", reason);
  }

  /** The settings of the queue have changed. However often that is said, they are looked at once at a time. */
  async #change(): Promise<void> {
    this.#changes++;
    if (this.#changes > 1) return;
    try {
      for (let seen = 0; seen < this.#changes && !this.#closed;) {
        seen = this.#changes;
        await this.#look();
      }
      if (this.#closed) return;
      this.tellState();
      for (const pulls of this.#pulls) pulls.nudge();
      this.fill();
    } catch (error) {
      this.#break(messageOf(error));
    } finally {
      this.#changes = 0;
    }
  }

  #break(reason: string): void {
    this.#isBroken = true;
    this.#broken.resolve(reason);
  }

  #call(ms: number = this.#queue.context.timeout): Call {
    return callWithin(this.#session, ms);
  }
}
