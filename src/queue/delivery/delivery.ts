import type { Msg } from "@nats-io/nats-core";
import type { Operation } from "../../telemetry/operation.ts";
import { parseAcknowledgement } from "../../wire/acknowledgement.ts";
import { firingOf, type JobHeaders, readJobHeaders } from "../format/job_headers.ts";
import type { JobMessage } from "../format/job_message.ts";
import { idOf, PRIORITIES, type Priority } from "../format/queue_names.ts";

const NO_FIRINGS: readonly string[] = [];

/** Milliseconds after its moment from which on what a schedule has made is late: servers take a second where many are due. */
const LATE_MS = 2_000;

/** A job as it was delivered to this process, and its lease. */
export class Delivery implements JobMessage {
  readonly #message: Msg;
  readonly #source: { readonly lease: number };
  /** Subject of the acknowledgement. */
  ack: string;
  readonly subject: string;
  /** The subject token of the job's id. */
  readonly token: string;
  /** Whether a schedule made it. */
  readonly tick: boolean;
  /** The durable consumer that delivered it. */
  readonly consumer: string;
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
  readonly sequence: number;
  /** When its message was stored, in nanoseconds: with the sequence it names the message also when the stream is made again and counts from 1. */
  readonly storedAt: string;
  /** When it was delivered, by `performance.now()`. */
  readonly receivedAt: number;
  /** When its lease ends, by `performance.now()`. */
  #leaseUntil: number;
  /** Whether the durable consumer that delivered it is gone. */
  orphaned = false;
  /** Whether the server was asked to deliver it again: that may happen before it is confirmed. */
  handedBack = false;
  /** Whether it is acknowledged without a run, as another message of its job is there, or has ended: that one may be of the same firing. */
  skipped = false;
  /** Whether its handler was called, or its end is being reported: then that ends it, whether its durable consumer is there or not. */
  begun = false;
  /** When its handler was started, by `performance.now()`. */
  startedAt = 0;
  /** The number of its handler's call; 0: there is none, or it has ended. */
  call = 0;
  /** Its run as telemetry sees it; `null`: there is no observer, or it has not begun. */
  observed: Operation | null = null;
  #headers: JobHeaders | undefined;
  #firing: string | undefined;
  #controller: AbortController | null = null;
  #aborted: { reason: unknown } | null = null;

  constructor(message: Msg, source: { readonly lease: number }, receivedAt: number) {
    this.#message = message;
    this.#source = source;
    this.subject = message.subject;
    this.token = this.subject.slice(this.subject.lastIndexOf(".") + 1);
    this.tick = this.token.startsWith("@");
    this.ack = message.reply!;
    const { consumer, deliveries, sequence, storedAt } = parseAcknowledgement(this.ack);
    this.consumer = consumer;
    this.deliveries = deliveries;
    this.sequence = sequence;
    this.storedAt = storedAt;
    this.receivedAt = receivedAt;
    this.#leaseUntil = receivedAt + source.lease;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  get headers(): JobHeaders {
    return this.#headers ??= readJobHeaders(this.#message);
  }

  get firing(): string | undefined {
    if (!this.headers.fired) return undefined;
    return this.#firing ??= firingOf(this.token, this.headers);
  }

  /** Whether a schedule made it so late that it may be stale: a server that was killed can have its delayed message back. */
  get firedLate(): boolean {
    const { fired, due } = this.headers;
    return fired === true && due !== undefined && this.storedTime - due.getTime() > LATE_MS;
  }

  /**
   * Whether its own message alone tells what is checked before it runs: that it was fired late, or that it is one of two messages of its job of which
   * only one is to run. A copy of it would run unchecked.
   */
  get isUnsettled(): boolean {
    const { replacing, displaces } = this.headers;
    return this.firedLate || replacing !== undefined || displaces !== undefined;
  }

  get firings(): readonly string[] {
    const { fired, supersedes } = this.headers;
    if (this.skipped || !fired && !supersedes) return NO_FIRINGS;
    const { firing } = this;
    return [...supersedes ?? NO_FIRINGS, ...(firing === undefined ? NO_FIRINGS : [firing])];
  }

  get id(): string {
    return idOf(this.token);
  }

  /** Jobs with a key have none of their own; they count as normal. */
  get priority(): Priority {
    return PRIORITIES.find((priority) => priority === this.consumer) ?? "normal";
  }

  /** Whether its order is kept by a partition. */
  get keyed(): boolean {
    return this.consumer.startsWith("k");
  }

  /** When the job was first published. */
  get enqueuedAt(): Date {
    return this.headers.enqueuedAt ?? new Date(this.storedTime);
  }

  /** When its message was stored, in milliseconds by the server's clock. */
  get storedTime(): number {
    return Number(this.storedAt.slice(0, -6));
  }

  /** All that its headers say, those of the server included: what a copy of it takes along. */
  get allHeaders(): JobHeaders {
    return readJobHeaders(this.#message, true);
  }

  /** How often this attempt was delivered, earlier copies and this time included. */
  get attemptDeliveries(): number {
    return this.headers.deliveries + this.deliveries;
  }

  /** What lets a handler's own writes refuse an older run: sequence × 1024 + deliveries. */
  get fence(): number {
    return this.sequence * 1024 + Math.min(this.deliveries, 1023);
  }

  /** Whether both are of the same message. */
  isOf(other: Delivery): boolean {
    return this.sequence === other.sequence && this.storedAt === other.storedAt;
  }

  /** Milliseconds from its delivery, and from each extension, to the end of the lease. */
  get lease(): number {
    return this.#source.lease;
  }

  /** When its lease ends, by `performance.now()`; long past if it was released. */
  get leaseUntil(): number {
    return this.#leaseUntil;
  }

  /** Whether its lease is held. */
  get ours(): boolean {
    return performance.now() < this.#leaseUntil;
  }

  /** Whether it was released. */
  get released(): boolean {
    return this.#leaseUntil === -Infinity;
  }

  /** Extends the lease. One that was lost stays lost. */
  extendTo(until: number): void {
    if (this.ours) this.#leaseUntil = until;
  }

  /** Shortens the lease: it ran on while no clock of this process did. */
  shorten(by: number): void {
    this.#leaseUntil -= by;
  }

  /** The server delivered the same message again, to this process: from now on that lease counts. */
  renewBy(again: Delivery): void {
    this.ack = again.ack;
    this.orphaned = false;
    this.extendTo(again.leaseUntil);
  }

  /** Aborts when the run is to end. */
  get signal(): AbortSignal {
    // Made at the first use: most handlers never do, and a controller costs as much as the rest of a run.
    this.#controller ??= new AbortController();
    if (this.#aborted) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  /** Tells its run to end. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }

  /** Gives up the lease: the signal of its run aborts, and nothing is reported of its end. */
  release(why: string): void {
    this.#leaseUntil = -Infinity;
    this.abort(new DOMException(why, "AbortError"));
  }
}
