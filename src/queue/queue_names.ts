import { checkSubject, encodeToken } from "../wire/tokens.ts";

/** How urgent a job is. Workers take `high` before `normal` before `low`, and see to it that none starves. */
export type Priority = "high" | "normal" | "low";

/** From the most to the least urgent. */
export const PRIORITIES: readonly Priority[] = ["high", "normal", "low"];

/** Partitions of the jobs that have a key. */
export const PARTITIONS = 16;

/** The durable consumers of the partitions. */
export function partitionNames(): string[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => `k${partition}`);
}

/** The streams and subjects of one queue. */
export class QueueNames {
  readonly queue: string;
  /** The stream of the jobs. */
  readonly stream: string;
  /** The stream of the dead letters. */
  readonly deadStream: string;
  /** Filter of all dead letters. */
  readonly deadFilter: string;
  /** The KV bucket of results and progress. */
  readonly resultsBucket: string;

  constructor(queue: string) {
    this.queue = queue;
    this.stream = `WQ_${queue}`;
    this.deadStream = `WQDEAD_${queue}`;
    this.deadFilter = `wqdead.${queue}.*`;
    this.resultsBucket = `wq_${queue}`;
  }

  /** What the stream of the jobs listens to: nothing else, so that a misspelt priority is refused. */
  subjects(): string[] {
    return [
      ...PRIORITIES.map((priority) => this.readyFilter(priority)),
      ...PRIORITIES.map((priority) => this.later(priority, "*")),
      this.schedule("*"),
      `wq.${this.queue}.keyed.*.*`,
    ];
  }

  ready(priority: Priority, token: string): string {
    return `wq.${this.queue}.ready.${priority}.${token}`;
  }

  readyFilter(priority: Priority): string {
    return this.ready(priority, "*");
  }

  later(priority: Priority, token: string): string {
    return `wq.${this.queue}.later.${priority}.${token}`;
  }

  schedule(token: string): string {
    return `wq.${this.queue}.every.${token}`;
  }

  keyed(partition: number | "*", token: string): string {
    return `wq.${this.queue}.keyed.${partition}.${token}`;
  }

  /** All places where a job of this id can be. A cluster compares publishes in flight by this literal text, so it has one spelling. */
  idFilter(token: string): string {
    return `wq.${this.queue}.*.*.${token}`;
  }

  dead(token: string): string {
    return `wqdead.${this.queue}.${token}`;
  }

  /** Listened to by whoever listens to events. */
  get listening(): string {
    return `wqevt.${this.queue}.listening`;
  }

  /** Tells the workers that the settings of the queue have changed. */
  get changed(): string {
    return `wqevt.${this.queue}.changed`;
  }

  /** Asks the workers what they know of messages that belong to no consumer. */
  get known(): string {
    return `wqevt.${this.queue}.known`;
  }

  event(type: string, token: string): string {
    return `wqevt.${this.queue}.${type}.${token}`;
  }
}

/**
 * The subject token of a job's id: one token, also where the id has dots.
 *
 * @throws {RangeError} If the id is too long for a subject.
 */
export function idToken(id: string, doing: string): string {
  return checkSubject(encodeToken(id), doing, "id");
}
