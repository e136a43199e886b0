import type { Call } from "../../wire/call.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "../delivery/delivery.ts";
import type { Admission } from "../format/run_outcome.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import type { PastRuns } from "../store/job_results.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { findTurn } from "../store/job_turn.ts";
import { hasNewerMessage } from "../store/newer_messages.ts";
import type { DeliveryCalls } from "../delivery/delivery_calls.ts";
import type { RunReporter } from "./_run_reporter.ts";
import type { StaleFirings } from "./_stale_firings.ts";
import type { Requirement } from "../delivery/run_requirements.ts";

/** Delay before a job runs again that was redelivered before any lease can have ended, in milliseconds. */
const EARLY_REDELIVERY_DELAY_MS = { base: 100, max: 3_000 };

/** Milliseconds until it is looked again whether the active message is gone that a job runs after: half of the time that it has waited. */
const BEHIND_MS = { min: 250, max: 5_000 };

const USUAL: readonly Requirement[] = ["acknowledgements", "dead letters", "moves"];
const IN_PLACE: readonly Requirement[] = ["acknowledgements", "dead letters", "results"];
const ALL: readonly Requirement[] = ["acknowledgements", "dead letters", "moves", "results"];

/** What an admission works with. */
interface AdmissionTools {
  readonly reporter: RunReporter;
  readonly calls: DeliveryCalls;
  readonly stale: StaleFirings;
}

/**
 * Decides whether a delivery is run.
 *
 * A delivery alone is no evidence that a worker died: servers also redeliver what never reached one. So starts are counted, and each start of a job
 * that had been delivered before is stored before it happens. The first one costs nothing: it is assumed once the job is delivered again.
 */
export class JobAdmission {
  readonly #maxDeliveries: number;
  readonly #reporter: RunReporter;
  readonly #calls: DeliveryCalls;
  readonly #queue: QueueContext;
  readonly #stale: StaleFirings;

  constructor(queue: QueueContext, { maxDeliveries }: ConsumeSettings, { reporter, calls, stale }: AdmissionTools) {
    this.#queue = queue;
    this.#stale = stale;
    this.#maxDeliveries = maxDeliveries;
    this.#reporter = reporter;
    this.#calls = calls;
  }

  /** What the server has to allow before it runs. */
  requirementsOf(delivery: Delivery): readonly Requirement[] {
    if (delivery.keyed) return IN_PLACE;
    return delivery.headers.keepResult !== undefined || this.#countsStart(delivery) ? ALL : USUAL;
  }

  /** Whether nothing needs to be asked or stored before it runs, which is so for most jobs. */
  isUsual(delivery: Delivery): boolean {
    const { headers, tick } = delivery;
    return !this.#countsStart(delivery) && !tick && headers.expiresAt === undefined && headers.replaces === undefined &&
      !this.#mayBeReplaced(delivery) && !delivery.firedLate && !this.#queue.ended.hasEnded(delivery);
  }

  /** Asks and stores what comes before a run. Returns how the delivery ended if it is not to run. */
  async admit(delivery: Delivery): Promise<Admission | RunEnd> {
    // Before all else: once this one has left the queue, nothing tells that the message that it replaces is not to run.
    if (!await this.#reporter.clearReplaced(delivery)) return "released";
    const ended = await this.#endWithoutRun(delivery);
    if (ended) return ended;
    const past = delivery.deliveries > 1 ? await this.#pastRuns(delivery) : undefined;
    if (past === null) return "released";
    const known = this.#knownRuns(delivery, past);
    const { attempts, postponed, starts, end, reason = "The job ended" } = known;
    // A worker that was not allowed to report the end of its run stored it beside the job.
    if (end === "completed") return await this.#reporter.drop(delivery, "skipped");
    if (end === "dead") return await this.#reporter.deadLetter(delivery, { reason, stack: undefined }, attempts);
    if (starts >= this.#maxDeliveries) return await this.#reporter.deadLetter(delivery, this.#endless(), attempts);
    if (delivery.deliveries > 1 && this.#reporter.movable(delivery)) return await this.#renew(delivery, known);
    if (this.#countsStart(delivery)) {
      const stored = await this.#keepStart(delivery, { attempts, postponed, starts: starts + 1 });
      if (!stored || !delivery.ours) return "released";
    }
    return { attempt: attempts + 1, postponed };
  }

  /** What needs no run: it has ended here, has expired, or is a tick behind which a newer one waits. */
  async #endWithoutRun(delivery: Delivery): Promise<RunEnd | undefined> {
    const { headers: { expiresAt }, deliveries, tick } = delivery;
    if (this.#queue.ended.hasEnded(delivery)) return await this.#reporter.drop(delivery, "skipped");
    if (expiresAt && expiresAt.getTime() <= this.#reporter.now()) {
      // One that keeps its place keeps its expiry, too: also after it has started.
      const past = deliveries > 1 && !this.#reporter.movable(delivery) ? await this.#pastRuns(delivery) : undefined;
      if (past === null) return "released";
      if (!past) return await this.#reporter.drop(delivery, "expired");
    }
    if (delivery.firedLate) {
      const stale = await this.#calls.demand(delivery, "look-ups", (call) => this.#stale.is(call, delivery));
      if (stale === null) return "released";
      if (stale) return await this.#reporter.drop(delivery, "skipped");
    }
    if (this.#mayBeReplaced(delivery)) return await this.#endIfNotItsTurn(delivery);
    if (!tick) return undefined;
    // Ticks that were collected while no worker was there count as one.
    const superseded = await this.#calls.demand(
      delivery,
      "look-ups",
      (call) => hasNewerMessage(call, this.#queue.names, delivery),
    );
    if (superseded === null) return "released";
    return superseded ? await this.#reporter.drop(delivery, "skipped") : undefined;
  }

  /** Whether another message of its job may take its place, or run before it. */
  #mayBeReplaced({ token, headers: { replacing, displaces, after }, keyed, tick }: Delivery): boolean {
    if (replacing !== undefined || displaces !== undefined || after !== undefined) return true;
    return !keyed && !tick && this.#queue.changing.has(token);
  }

  /** What runs after an active message of its job is put back while that is there. */
  async #endIfNotItsTurn(delivery: Delivery): Promise<RunEnd | undefined> {
    const turn = await this.#calls.demand(delivery, "look-ups", (call) => findTurn(call, this.#queue.names, delivery));
    if (turn === "now") return undefined;
    if (turn === null) return "released";
    if (turn === "superseded") return await this.#reporter.drop(delivery, "skipped");
    const age = this.#reporter.now() - delivery.enqueuedAt.getTime();
    const { min, max } = BEHIND_MS;
    const moved = await this.#reporter.renew(delivery, {
      started: false,
      delay: Math.min(max, Math.max(min, age / 2)),
    });
    return moved === false ? await this.#reporter.drop(delivery, "skipped") : moved ? "skipped" : "released";
  }

  /** What is known of earlier runs, from the leader; `undefined` if nothing is, `null` without an answer. */
  async #pastRuns(delivery: Delivery): Promise<PastRuns | undefined | null> {
    return await this.#calls.demand(delivery, "results", (call) => this.#queue.results.pastRuns(call, delivery));
  }

  /** Stores that it starts; returns whether that is confirmed. */
  async #keepStart(delivery: Delivery, runs: PastRuns): Promise<boolean> {
    const store = (call: Call) => this.#queue.results.storePastRuns(call, delivery, runs).then(() => true);
    return await this.#calls.demand(delivery, "results", store) === true;
  }

  /** Whether its start is stored before it happens: always, if a job may be started once only. */
  #countsStart({ attemptDeliveries }: Delivery): boolean {
    return attemptDeliveries > 1 || this.#maxDeliveries === 1;
  }

  /** What is known of earlier runs, from the message and from what was stored beside it. */
  #knownRuns({ attemptDeliveries, headers }: Delivery, past: PastRuns | undefined): PastRuns {
    // The first start of a job is not stored. Where only one is allowed, it is.
    const assumed = attemptDeliveries > 1 && this.#maxDeliveries > 1 ? 1 : 0;
    const stated = { attempts: headers.attempt - 1, postponed: headers.postponed, starts: headers.starts ?? assumed };
    return past && past.attempts >= stated.attempts ? past : stated;
  }

  /**
   * Moves a redelivered job, for whoever is next, instead of running it in its place: the server delivers a redelivered message once more at each of
   * its restarts and changes of leader, however fresh its lease, but not a new one.
   *
   * A delivery that came back before any lease can have ended was lost on its way, for instance into the inbox of a worker that has stopped, and the
   * next ones may be lost, too: these jobs wait longer each time.
   */
  async #renew(delivery: Delivery, { attempts, postponed, starts }: PastRuns): Promise<RunEnd> {
    const { attemptDeliveries, lease } = delivery;
    const early = this.#reporter.now() - delivery.storedTime < lease * 0.9;
    const { base, max } = EARLY_REDELIVERY_DELAY_MS;
    const delay = early ? Math.min(max, base * 2 ** Math.min(attemptDeliveries - 2, 10)) : 0;
    const move = { attempt: attempts + 1, postponed, deliveries: attemptDeliveries - 1, starts, delay };
    const moved = await this.#reporter.renew(delivery, move);
    // Only if the server says that a newer copy exists already: a job whose copy was not stored must not be taken off the queue.
    return moved === false ? await this.#reporter.drop(delivery, "skipped") : moved ? "skipped" : "released";
  }

  #endless(): { reason: string; stack: undefined } {
    const reason = `The job was started repeatedly without a reported end (maxDeliveries: ${this.#maxDeliveries}): ` +
      "it seems to kill its workers";
    return { reason, stack: undefined };
  }
}
