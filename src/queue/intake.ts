import { Unavailable } from "../connection/unavailable.ts";
import { delay, settledWithin } from "../connection/delay.ts";
import { backoff } from "../connection/backoff.ts";
import type { Context } from "../wire/context.ts";
import type { Session } from "../wire/session.ts";
import { streamInfo } from "../wire/streams.ts";
import { Delivery } from "./delivery.ts";
import { Pulls } from "./pulls.ts";
import { partitionNames, PRIORITIES, type QueueNames } from "./queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";
import { messageOf } from "./thrown.ts";

const MEND = { base: 50, max: 2_000 };

/** Milliseconds that jobs which are under way to us may take, before it opens anew. */
const UNDER_WAY = 1_000;

/** What an intake tells its consumer. */
export interface IntakeEvents {
  /** A job was handed out: as soon as it came (`waited`), or because it was fetched. */
  deliver(delivery: Delivery, waited: boolean): void;
  /** There may be jobs to fetch. */
  ready(): void;
  /** How many jobs to ask for now. */
  wanted(): number;
  /** How many more may come. */
  room(): number;
  /** How many jobs of a durable consumer are here. */
  held(consumer: string): number;
  /** Jobs are served again, or why they are not. */
  served(problem: string | null): void;
  /** The server hands out nothing because it was told to pause, or hands out again. */
  paused(paused: boolean): void;
  /** Somebody deleted the message of this sequence. */
  deleted(sequence: number): void;
  /** The jobs handed out so far are not ours any more in this way: their durable consumer, or the whole stream, is gone. */
  orphaned(streamToo: boolean): void;
}

/** Brings the jobs of the chosen durable consumers to this process, session after session, and mends what breaks. */
export class Intake {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #stream: QueueStream;
  readonly #consumers: readonly string[];
  readonly #events: IntakeEvents;
  readonly #stopped = new AbortController();
  #pulls: Pulls[] = [];
  #partitions: Pulls[] = [];
  #listening: { stop(): void }[] = [];
  #round = 0;
  #filling = false;
  #lease = 0;
  #created = "";
  #lastComplaint = "";
  #paused: Set<string> = new Set();
  #break: (reason: string) => void = () => {};

  constructor(
    context: Context,
    names: QueueNames,
    stream: QueueStream,
    consumers: readonly string[],
    events: IntakeEvents,
  ) {
    this.#context = context;
    this.#names = names;
    this.#stream = stream;
    this.#consumers = consumers;
    this.#events = events;
  }

  /** Milliseconds of the queue's lease; 0 before the queue was first opened. */
  get lease(): number {
    return this.#lease;
  }

  /** Serves a session until it ends. */
  async serve(session: Session): Promise<void> {
    const stop = AbortSignal.any([session.signal, this.#stopped.signal]);
    for (let failures = 0; !stop.aborted;) {
      try {
        const { broken } = await this.#open(session);
        failures = 0;
        this.#events.served(null);
        this.#tellPaused();
        this.#events.ready();
        const reason = await Promise.race([broken, aborted(stop)]);
        if (!stop.aborted) {
          this.#events.served(reason);
          // What is handed out and taken by nobody is nobody's until its lease is over.
          // Not beyond the session: it would never come to its end, and the next one begins meanwhile.
          await settledWithin(Promise.race([this.drain(), aborted(stop)]), UNDER_WAY);
        }
      } catch (error) {
        if (!stop.aborted) this.#complain(error);
      }
      this.#letGo();
      if (stop.aborted) return;
      this.#stream.forget();
      await delay(backoff(++failures, MEND), { signal: stop, persistent: false });
    }
  }

  #complain(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#events.served(reason);
    if (error instanceof Unavailable || reason === this.#lastComplaint) return;
    this.#lastComplaint = reason;
    this.#context.logger.warn(`Queue ${this.#names.queue} is not served, and tries on: ${reason}`);
  }

  /**
   * Fetches jobs as long as they are wanted and there are any; only if there is room left then, the server is to bring them as they come.
   */
  fill(): void {
    // This comes with each job that ends, and most of them want none.
    if (!this.#filling && this.#events.wanted() > 0) this.#fill();
  }

  async #fill(): Promise<void> {
    const { wanted, room } = this.#events;
    this.#filling = true;
    try {
      const empty = new Set<Pulls>();
      for (let rest = wanted(); rest > 0;) {
        const pulls = this.#next(empty);
        if (!pulls) break;
        const batch = Math.min(rest, pulls.limit);
        // It has none for anybody while all that it may hand out are here.
        const came = this.#isExhausted(pulls) ? 0 : await pulls.fetch(batch);
        if (came < batch) empty.add(pulls);
        // What one had not, the next may have. Only when all came is it time to ask whether more are wanted.
        rest = came < rest ? rest - came : wanted();
      }
      const share = Math.floor(room() / PRIORITIES.length);
      for (const pulls of empty) {
        if (room() > 0 && !pulls.stopped && !pulls.waiting) pulls.wait(Math.min(Math.max(1, share), pulls.limit));
      }
    } finally {
      this.#filling = false;
    }
  }

  /** Begins anew, and takes nothing of what is under way: after a stop of the process it looks fresh and is not. */
  reopen(reason: string): void {
    for (const pulls of [...this.#pulls, ...this.#partitions]) pulls.stop();
    this.#break(reason);
  }

  #tellPaused(): void {
    const all = [...this.#pulls, ...this.#partitions];
    this.#events.paused(all.length > 0 && all.every((pulls) => this.#paused.has(pulls.consumer)));
  }

  /** Asks for no more, and takes what is under way. */
  async drain(): Promise<void> {
    await Promise.all([...this.#pulls, ...this.#partitions].map((pulls) => pulls.drain()));
  }

  /** Stops listening, also to what becomes of the jobs that run. */
  stop(): void {
    this.#stopped.abort();
  }

  /**
   * The next durable consumer to ask: the most urgent one that may have jobs. Lower priorities come first now and then, low in every 16th round,
   * normal in every 4th: strict order would starve them. The partitions, in random order, take turns with them.
   */
  #next(empty: Set<Pulls>): Pulls | undefined {
    const round = ++this.#round;
    const first = this.#pulls.at(round % 16 === 0 ? -1 : round % 4 === 0 ? -2 : 0) ?? this.#pulls[0];
    const start = Math.floor(Math.random() * this.#partitions.length);
    const partitions = [...this.#partitions.slice(start), ...this.#partitions.slice(0, start)];
    const order = round % 2 === 0 ? [first, ...this.#pulls, ...partitions] : [...partitions, first, ...this.#pulls];
    return order.find((pulls) => pulls && !pulls.stopped && !pulls.waiting && !empty.has(pulls));
  }

  #isExhausted({ limit, consumer }: Pulls): boolean {
    return limit !== Infinity && this.#events.held(consumer) >= limit;
  }

  /** Opens the queue and begins to listen; `broken` tells when that ends, and why. */
  async #open(session: Session): Promise<{ broken: Promise<string> }> {
    const deadline = performance.now() + this.#context.timeout;
    await this.#stream.openConsumers(session, deadline);
    this.#lease = (await this.#stream.open(session, deadline)).lease;
    const created = (await streamInfo(session, this.#names.stream, deadline))?.created ?? "";
    // A stream that was made again counts from 1: what the old one handed out has no meaning here.
    if (this.#created !== "" && this.#created !== created) this.#events.orphaned(true);
    this.#created = created;
    const { promise: broken, resolve } = Promise.withResolvers<string>();
    this.#break = resolve;
    this.#listen(session);
    await this.#look(session, deadline);
    return { broken };
  }

  /** Looks which durable consumers there are, and at their settings. What waits goes on waiting: what is under way to it would be lost. */
  async #look(session: Session, deadline: number): Promise<void> {
    const isBroken = this.#break;
    // The partitions are made when a job first has a key.
    const info = await streamInfo(session, this.#names.stream, deadline);
    const keyed = (info?.state.consumer_count ?? 0) > PRIORITIES.length;
    const consumers = [...this.#consumers, ...keyed ? partitionNames() : []];
    const infos = await Promise.all(
      consumers.map((consumer) => this.#stream.consumerInfo(session, consumer, deadline)),
    );
    // Meanwhile it may have begun anew.
    if (this.#break !== isBroken || session.signal.aborted) return;
    this.#paused = new Set(consumers.filter((_, i) => infos[i]?.paused));
    const present = [...this.#pulls, ...this.#partitions];
    const pulls = consumers.map((consumer, i) => {
      const limit = infos[i]?.config.max_ack_pending ?? -1;
      const pulls = present.find((pulls) => pulls.consumer === consumer) ?? this.#newPulls(session, consumer);
      pulls.limit = limit > 0 ? limit : Infinity;
      return pulls;
    });
    this.#pulls = pulls.slice(0, this.#consumers.length);
    this.#partitions = pulls.slice(this.#consumers.length);
  }

  #newPulls(session: Session, consumer: string): Pulls {
    const isBroken = this.#break;
    return new Pulls(session, this.#names.stream, consumer, {
      deliver: (message, waited, at) => this.#events.deliver(new Delivery(message, this.#lease, at), waited),
      ready: () => this.#events.ready(),
      broken: (reason) => {
        if (/Consumer Deleted/i.test(reason)) this.#events.orphaned(false);
        isBroken(reason);
      },
    });
  }

  /** The settings of the queue have changed. */
  async #change(session: Session): Promise<void> {
    try {
      await this.#look(session, performance.now() + this.#context.timeout);
      this.#tellPaused();
      for (const pulls of this.#pulls) pulls.nudge();
      this.#events.ready();
    } catch (error) {
      this.#break(`the settings of the queue have changed: ${messageOf(error)}`);
    }
  }

  #listen(session: Session): void {
    const advisories = `$JS.EVENT.ADVISORY.CONSUMER`;
    const { stream, changed } = this.#names;
    const denied = (error: Error) => {
      this.#context.logger.warn(
        `Workers of queue ${this.#names.queue} do not hear of cancels and resumes: ${error.message}`,
      );
    };
    this.#listening = [
      session.subscribe(`${advisories}.MSG_TERMINATED.${stream}.*`, (message) => {
        this.#events.deleted(message.json<{ stream_seq: number }>().stream_seq);
      }, denied),
      session.subscribe(`${advisories}.PAUSE.${stream}.*`, (message) => {
        const { consumer, paused } = message.json<{ consumer: string; paused: boolean }>();
        if (paused) this.#paused.add(consumer);
        else this.#paused.delete(consumer);
        this.#tellPaused();
        if (paused) return;
        for (const pulls of [...this.#pulls, ...this.#partitions]) if (pulls.consumer === consumer) pulls.nudge();
      }, denied),
      session.subscribe(changed, () => this.#change(session), denied),
    ];
  }

  #letGo(): void {
    this.#break = () => {};
    for (const open of [...this.#pulls, ...this.#partitions, ...this.#listening]) open.stop();
    this.#pulls = [];
    this.#partitions = [];
    this.#listening = [];
  }
}

function aborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve("stopped");
    else signal.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
}
