import { Unavailable } from "../../connection/unavailable.ts";
import type { Session } from "../../wire/session.ts";
import { streamInfo } from "../../wire/streams.ts";
import { Delivery } from "./delivery.ts";
import { type ConsumerInfo, consumerInfo } from "../store/durable_consumer.ts";
import { Pulls } from "./pulls.ts";
import { listenToQueue } from "../store/queue_advisories.ts";
import type { QueueCall } from "../store/queue_call.ts";
import { partitionNames, PRIORITIES } from "../format/queue_names.ts";
import type { QueueParts } from "../store/queue_parts.ts";
import { messageOf } from "../format/thrown.ts";
import { WaitingPlaces } from "./waiting_places.ts";

/** Milliseconds within which the server must tell why a pull hears nothing. */
const EXPLANATION_MS = 500;

/** What a subscription asks and tells its consumer. */
export interface SubscriptionEvents {
  /** A job was handed out: as soon as it came (`waited`), or because it was fetched. */
  deliver(delivery: Delivery, waited: boolean): void;
  /** How many jobs to ask for now. */
  wanted(): number;
  /** How many more may come. */
  room(): number;
  /** How many jobs of a durable consumer are here. */
  held(consumer: string): number;
  /** Milliseconds of the shortest lease in force, now that it is known or may have changed. */
  leased(lease: number): void;
  /** Jobs are served, or the server was told to hand out none; or why they are not served. */
  serves(state: "serving" | "paused" | "impaired", reason: string | null): void;
  /** Somebody says that the message of this sequence was deleted. */
  deleted(sequence: number): void;
  /** What this durable consumer has handed out is not its own any more: it is gone. */
  orphaned(consumer: string): void;
}

/** Which jobs a worker serves. */
export interface ServedJobs {
  /** The most urgent first. */
  readonly priorities: readonly string[];
  /** Whether also those that have a key. */
  readonly keyed: boolean;
}

/** The queue as one session serves it, until that breaks off; then it is opened anew. */
export class QueueSubscription {
  readonly #session: Session;
  readonly #parts: QueueParts;
  readonly #served: ServedJobs;
  readonly #events: SubscriptionEvents;
  readonly #ended: Promise<void>;
  readonly #broken = Promise.withResolvers<string>();
  readonly #places: WaitingPlaces;
  /** Of the priorities that are served, the most urgent first, and behind them of the partitions. */
  #pulls: Pulls[] = [];
  #listening: { stop(): void }[] = [];
  #round = 0;
  #filling = false;
  /** Whether its consumer is to know it. What came earlier could not be told from what another stream had handed out, and not be reported. */
  #isOpen = false;
  #isBroken = false;
  /** How often it was told that the settings have changed, since it began to look at them. */
  #changes = 0;
  #closed = false;
  /** When the stream was made. */
  created = "";

  /** @param ended Settles when the session ends, or the consumer has stopped. */
  constructor(
    session: Session,
    ended: Promise<void>,
    parts: QueueParts,
    served: ServedJobs,
    events: SubscriptionEvents,
  ) {
    this.#session = session;
    this.#ended = ended;
    this.#parts = parts;
    this.#served = served;
    this.#events = events;
    this.#places = new WaitingPlaces(() => this.#call(), parts.context.logger, {
      full: (reason) => this.#isBroken || events.serves("impaired", reason),
      retry: () => this.fill(),
    });
  }

  /** Resolves when it has broken off, with the reason. */
  get broken(): Promise<string> {
    return this.#broken.promise;
  }

  /**
   * Opens the queue, and begins to listen.
   *
   * @param mayCreate Whether a queue that is missing is made; otherwise `false` tells that it is.
   */
  async open(mayCreate: boolean): Promise<boolean> {
    const { names } = this.#parts;
    if (!mayCreate && !await streamInfo(this.#session, names.stream, this.#deadline)) return false;
    await this.#parts.stream.openConsumers(this.#session, this.#deadline);
    this.#listening = listenToQueue(this.#session, this.#parts.names, {
      deleted: (sequence) => this.#events.deleted(sequence),
      destroyed: () => this.#change(),
      changed: () => this.#change(),
      changing: (token) => this.#parts.changing.note(token),
    });
    await this.#look();
    return this.#isOpen = true;
  }

  /** Begins anew, and takes nothing of what is under way: after a stop of the process it looks fresh and is not. */
  reopen(reason: string): void {
    for (const pulls of this.#pulls) pulls.stop();
    this.#break(reason);
  }

  /**
   * Asks for no more, and takes what is under way: what is handed out and taken by nobody is nobody's until its lease is over. Once the session has
   * ended nothing is under way.
   */
  async drain(): Promise<void> {
    await Promise.race([this.#ended, Promise.all(this.#pulls.map((pulls) => pulls.drain()))]);
  }

  /** Stops listening. */
  close(): void {
    this.#closed = true;
    this.#places.stop();
    for (const open of [...this.#pulls, ...this.#listening]) open.stop();
  }

  get #deadline(): number {
    return performance.now() + this.#parts.context.timeout;
  }

  #call(): QueueCall {
    const { names, stream } = this.#parts;
    return { session: this.#session, deadline: this.#deadline, names, stream };
  }

  #break(reason: string): void {
    this.#isBroken = true;
    this.#broken.resolve(reason);
  }

  /**
   * Fetches jobs as long as they are wanted and there are any; only if there is room left then, the server is to bring them as they come.
   */
  fill(): void {
    // This comes with each job that ends, and most of them want none.
    if (!this.#isOpen || this.#filling || this.#closed || this.#events.wanted() <= 0) return;
    this.#fill();
  }

  async #fill(): Promise<void> {
    const { wanted, room } = this.#events;
    this.#filling = true;
    try {
      const empty = new Set<Pulls>();
      for (let rest = wanted(); rest > 0;) {
        const pulls = this.#next(empty);
        if (!pulls) break;
        const batch = Math.min(rest, pulls.maxBatch);
        // It has none for anybody while all that it may hand out are here.
        const came = this.#isExhausted(pulls) ? 0 : await pulls.fetch(batch);
        if (came < batch) empty.add(pulls);
        // What one had not, the next may have. Only when all came is it time to ask whether more are wanted.
        rest = came < rest ? rest - came : wanted();
      }
      const share = Math.floor(room() / PRIORITIES.length);
      for (const pulls of empty) {
        if (room() <= 0 || pulls.stopped || pulls.waiting || this.#places.has(pulls)) continue;
        pulls.wait(Math.min(Math.max(1, share), pulls.maxBatch));
      }
    } catch (error) {
      this.#break(messageOf(error));
    } finally {
      this.#filling = false;
    }
  }

  /**
   * The next durable consumer to ask: the most urgent one that may have jobs. Lower priorities come first now and then, low in every 16th round,
   * normal in every 4th: strict order would starve them. The partitions, in random order, take turns with them.
   */
  #next(empty: Set<Pulls>): Pulls | undefined {
    const round = ++this.#round;
    const { length } = this.#served.priorities;
    const priorities = this.#pulls.slice(0, length);
    const partitions = this.#pulls.slice(length);
    const start = Math.floor(Math.random() * partitions.length);
    partitions.push(...partitions.splice(0, start));
    const first = priorities.at(round % 16 === 0 ? -1 : round % 4 === 0 ? -2 : 0);
    if (first) priorities.unshift(first);
    const order = round % 2 === 0 ? [...priorities, ...partitions] : [...partitions, ...priorities];
    return order.find((pulls) =>
      pulls && !pulls.stopped && !pulls.waiting && !empty.has(pulls) && !this.#places.has(pulls)
    );
  }

  #isExhausted({ limit, consumer }: Pulls): boolean {
    return limit !== Infinity && this.#events.held(consumer) >= limit;
  }

  /** Looks which durable consumers there are, and at their settings. What waits goes on waiting: what is under way to it would be lost. */
  async #look(): Promise<void> {
    const call = this.#call();
    const info = await streamInfo(this.#session, call.names.stream, call.deadline);
    if (this.#isOpen && info?.created !== this.created) {
      throw new Unavailable("no_responders", "The stream was deleted");
    }
    // The partitions are made when a job first has a key.
    const keyed = this.#served.keyed && (info?.state.consumer_count ?? 0) > PRIORITIES.length;
    const { priorities } = this.#served;
    const consumers = [...priorities, ...keyed ? partitionNames() : []];
    const infos = await Promise.all(consumers.map((name) => consumerInfo(call, name)));
    if (this.#closed) return;
    const present = infos.filter((info) => info !== null);
    const missing = priorities.find((name) => !present.some((info) => info.name === name));
    if (missing !== undefined) throw new Unavailable("no_responders", `The durable consumer ${missing} is gone`);
    this.created = info?.created ?? "";
    this.#pulls = present.map((info) => this.#pullsOf(info));
    if (this.#pulls.length > 0) this.#events.leased(Math.min(...this.#pulls.map(({ lease }) => lease)));
  }

  #pullsOf(info: ConsumerInfo): Pulls {
    const present = this.#pulls.find(({ consumer }) => consumer === info.name);
    if (present) {
      present.goBy(info);
      return present;
    }
    const pulls: Pulls = new Pulls(this.#session, this.#parts.names.stream, info, {
      deliver: (message, waited, at) => this.#events.deliver(new Delivery(message, pulls, at), waited),
      ready: () => this.fill(),
      expired: () => this.#renew(pulls),
      served: () => this.tellState(),
      silent: (reason) => this.#explainSilence(pulls, reason),
      broken: (reason) => {
        if (/Consumer Deleted/i.test(reason)) this.#events.orphaned(info.name);
        this.#break(reason);
      },
    });
    return pulls;
  }

  /** Tells that it serves, once the server has shown that it does. */
  tellState(): void {
    const paused = this.#pulls.length > 0 && this.#pulls.every(({ paused }) => paused);
    if (this.#isBroken || !paused && !this.#pulls.every(({ isServed }) => isServed)) return;
    this.#places.served();
    this.#events.serves(paused ? "paused" : "serving", null);
  }

  /** A pull that waited has come to its end. The next one goes by how many workers wait now. */
  async #renew(pulls: Pulls): Promise<void> {
    try {
      const info = await consumerInfo(this.#call(), pulls.consumer);
      if (info) pulls.goBy(info);
    } catch {
      // The next pull meets the reason.
    }
    this.fill();
  }

  /** The server answers no pull for which it has no place. Any other silence means that the pull is lost. */
  async #explainSilence(pulls: Pulls, reason: string): Promise<void> {
    if (!this.#isBroken) this.#events.serves("impaired", reason);
    try {
      const deadline = performance.now() + EXPLANATION_MS;
      const info = await consumerInfo({ ...this.#call(), deadline }, pulls.consumer);
      if (this.#closed || info && this.#places.note(pulls, info)) return;
    } catch {
      // The server does not answer this, either.
    }
    this.#break(reason);
  }

  /** The settings of the queue have changed. However often that is told, they are looked at once at a time. */
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
}
