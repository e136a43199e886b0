import { checkText, wrong } from "../../checks.ts";
import { checkSubject, decodeToken, encodeToken } from "../../wire/tokens.ts";

/**
 * How urgent a job is. Workers take `high` before `normal` before `low`, and see to it that none starves.
 *
 * @category Jobs
 */
export type Priority = "high" | "normal" | "low";

/** From the most to the least urgent. */
export const PRIORITIES: readonly Priority[] = ["high", "normal", "low"];

/** What the ids and tokens of jobs begin with that a schedule made. */
const TICK = "@";

/** In place of a partition: the copies that are to replace waiting jobs. */
const CHANGING = "changing";

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
  /** The stream of that bucket. */
  readonly resultsStream: string;
  /** The stream of the permits, where the rate is limited. */
  readonly permitStream: string;
  /** The subject of the permits. */
  readonly permit: string;

  constructor(queue: string) {
    this.queue = queue;
    this.stream = `WQ_${queue}`;
    this.deadStream = `WQDEAD_${queue}`;
    this.deadFilter = `wqdead.${queue}.*`;
    this.resultsBucket = `wq_${queue}`;
    this.resultsStream = `KV_${this.resultsBucket}`;
    this.permitStream = `WQRATE_${queue}`;
    this.permit = `wqrate.${queue}`;
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

  later(priority: Priority | "*", token: string): string {
    return `wq.${this.queue}.later.${priority}.${token}`;
  }

  schedule(token: string): string {
    return `wq.${this.queue}.every.${token}`;
  }

  keyed(partition: number | "*", token: string): string {
    return `wq.${this.queue}.keyed.${partition}.${token}`;
  }

  /** Where the copy of a waiting job stands until it has taken the place of that: no durable consumer delivers it, and all of them can be listed. */
  replacement(token: string): string {
    return `wq.${this.queue}.keyed.${CHANGING}.${token}`;
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

  /** Announces to the workers that a waiting job may be replaced: the token of its id. */
  get changing(): string {
    return `wqevt.${this.queue}.changing`;
  }

  /** Asks the workers for the state of messages that belong to no consumer. */
  get known(): string {
    return `wqevt.${this.queue}.known`;
  }

  /** Asks the workers what they do. */
  get workers(): string {
    return `wqevt.${this.queue}.workers`;
  }

  /** Where workers answer such a question; no listener to events receives it. */
  workerAnswers(ask: string, worker: string = "*"): string {
    return `wqevt.${this.queue}.workers.${ask}.${worker}`;
  }

  event(type: string, token: string): string {
    return `wqevt.${this.queue}.${type}.${token}`;
  }
}

/**
 * What a message of a queue is by its subject. A copy that is to replace a waiting job is a delayed one: its schedule fires if the call that made
 * it dies.
 */
export function kindOf(subject: string): "ready" | "later" | "keyed" | undefined {
  const [, , kind, place] = subject.split(".");
  if (kind === "keyed") return place === CHANGING ? "later" : "keyed";
  return kind === "ready" || kind === "later" ? kind : undefined;
}

/** Whether a message stands where a copy does that is to take the place of a waiting job. */
export function isReplacement(subject: string): boolean {
  return subject.split(".")[3] === CHANGING;
}

/** The last token of a subject: the one of the id. */
export function tokenOf(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}

/** The id of a token; that of a job which a schedule made is `@` and the schedule's id. */
export function idOf(token: string): string {
  if (token.startsWith(TICK)) return TICK + idOf(token.slice(TICK.length));
  return decodeToken(token) ?? token;
}

/** The priority of a word that anybody may have written. */
export function priorityOf(word: string | undefined): Priority {
  return PRIORITIES.find((priority) => priority === word) ?? "normal";
}

/**
 * Checks a priority.
 *
 * @throws {RangeError} If it is none.
 */
export function checkPriority(value: unknown, doing: string): asserts value is Priority {
  if (PRIORITIES.includes(value as Priority)) return;
  throw wrong(RangeError, `${doing} as 'priority' must be "high", "normal" or "low"`, value);
}

/** The token of the jobs that a schedule makes; no encoded id begins like it. */
export function tickToken(scheduleToken: string): string {
  return TICK + scheduleToken;
}

/**
 * The subject tokens under which a job can be looked up by its id: that of a publish, and that of a schedule's job, which has such an id, too.
 *
 * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
 */
export function lookUpTokens(id: string, doing: string): string[] {
  const token = idToken(id, doing);
  return id.startsWith(TICK) ? [token, tickToken(encodeToken(id.slice(TICK.length)))] : [token];
}

/**
 * The subject token of a job's id: one token, also where the id has dots.
 *
 * @throws {TypeError | RangeError} If the id is no text, is empty or too long for a subject.
 */
export function idToken(id: string, doing: string): string {
  checkText(id, doing, "id");
  return checkSubject(encodeToken(id), doing, "id");
}
