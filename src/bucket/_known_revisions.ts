import type { Session } from "../wire/session.ts";

/** Subjects of one generation; two are remembered. */
const GENERATION_KEYS = 5_000;

/** Milliseconds for which the sequence of a write counts whose subject is not remembered any more. */
const FORGOTTEN_MS = 60_000;

/** What is known of one subject. */
interface Known {
  sequence: number;
  /** Whether no write of this process is newer. */
  complete: boolean;
}

/**
 * The newest sequences of one stream that this process has written or read, by subject. A replica that answers with less lags behind.
 *
 * The memory is bounded: the subjects used last are remembered one by one. Of all others the newest write counts for a minute.
 */
export class KnownRevisions {
  #young: Map<string, Known> = new Map();
  #old: Map<string, Known> = new Map();
  /** Sequence of the newest write whose subject is not remembered any more. */
  #forgotten = 0;
  #forgottenUntil = 0;
  #created = "";
  #isOn = false;

  /** Whether reads of this session may be answered by a replica that lags behind, or that was switched on. */
  follows(session: Session): boolean {
    return this.#isOn ||= !session.requests.alone;
  }

  /** Remembers from now on also where one server does it all: for what reads from elsewhere. */
  switchOn(): void {
    this.#isOn = true;
  }

  /** This process has written, or the leader has reported, this sequence of a subject; 0: there is none. */
  wrote(session: Session, subject: string, sequence: number): void {
    if (this.follows(session)) this.#note(subject, sequence, true);
  }

  /** This process has read this sequence of a subject. */
  read(session: Session, subject: string, sequence: number): void {
    if (this.follows(session)) this.#note(subject, sequence, false);
  }

  /**
   * The leader has no newer one than this; 0: it has none.
   *
   * @param asked What was known when it was asked: what is newer than that has come meanwhile, and stays.
   */
  correct(subject: string, sequence: number, asked: number): void {
    if (this.remembered(subject) <= asked) this.#put(subject, { sequence, complete: true });
  }

  /** The sequence that a subject has at least; 0 if none is known. */
  newest(subject: string): number {
    const known = this.#young.get(subject) ?? this.#old.get(subject);
    if (known?.complete || this.#forgotten === 0) return known?.sequence ?? 0;
    if (performance.now() > this.#forgottenUntil) this.#forgotten = 0;
    return Math.max(this.#forgotten, known?.sequence ?? 0);
  }

  /** The sequence of a subject that is remembered itself; 0 if it is not. */
  remembered(subject: string): number {
    return (this.#young.get(subject) ?? this.#old.get(subject))?.sequence ?? 0;
  }

  /** The subjects that are remembered with a sequence beyond this one. */
  *newerThan(sequence: number): Generator<string> {
    for (const [subject, known] of this.#young) if (known.sequence > sequence) yield subject;
    for (const [subject, known] of this.#old) {
      if (known.sequence > sequence && !this.#young.has(subject)) yield subject;
    }
  }

  /** When the stream was created, as the server says it; empty if that is not known. */
  get created(): string {
    return this.#created;
  }

  /** The stream was created at this time: what is known of an earlier one is of no use. */
  belongTo(created: string): void {
    if (this.#created !== "" && this.#created !== created) this.clear();
    this.#created = created;
  }

  /** Forgets all: the stream has gone. */
  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#forgotten = 0;
  }

  #note(subject: string, sequence: number, complete: boolean): void {
    const known = this.#young.get(subject);
    if (known) {
      if (sequence > known.sequence) known.sequence = sequence;
      known.complete ||= complete;
      return;
    }
    const before = this.#old.get(subject);
    this.#put(subject, {
      sequence: Math.max(sequence, before?.sequence ?? 0),
      complete: complete || before?.complete === true,
    });
  }

  #put(subject: string, known: Known): void {
    if (this.#young.size >= GENERATION_KEYS) this.#age();
    this.#young.set(subject, known);
  }

  #age(): void {
    let newest = 0;
    for (const [subject, { sequence, complete }] of this.#old) {
      if (complete && sequence > newest && !this.#young.has(subject)) newest = sequence;
    }
    if (newest > 0) {
      this.#forgotten = Math.max(newest, performance.now() > this.#forgottenUntil ? 0 : this.#forgotten);
      this.#forgottenUntil = performance.now() + FORGOTTEN_MS;
    }
    this.#old = this.#young;
    this.#young = new Map();
  }
}
