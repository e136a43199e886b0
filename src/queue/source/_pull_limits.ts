import { milliseconds, nanoseconds, readDuration } from "../../wire/durations.ts";
import { type ConsumerInfo, MAX_WAITING } from "../store/durable_consumer.ts";

/** Milliseconds after which the server confirms that a pull still waits. The longer, the more workers wait: so all of them together cost about as much. */
const HEARTBEAT_MS = { least: 2_000, most: 24_000 };

/** Pulls that wait at a durable consumer with the shortest heartbeat. */
const FEW_PULLS = 100;

/** Heartbeats after which a waiting pull is renewed, and after which its silence counts as failure. */
const HEARTBEATS = { renewal: 30, silence: 2.25 };

/** What a pull asks the server for. */
export interface PullRequest {
  batch: number;
  no_wait?: boolean;
  /** Nanoseconds. */
  expires?: number;
  /** Nanoseconds. */
  idle_heartbeat?: number;
  max_bytes?: number;
}

/** What a pull of a durable consumer may request: by its settings, and by what the server has refused. */
export class PullLimits {
  /** Jobs that one pull may request. */
  maxBatch = Infinity;
  /** Milliseconds that one may wait. */
  #maxExpires = Infinity;
  #heartbeat = HEARTBEAT_MS.least;

  /** Takes over the settings of the durable consumer. */
  goBy(info: ConsumerInfo): void {
    const { config, num_waiting } = info;
    this.maxBatch = config.max_batch || Infinity;
    this.#maxExpires = milliseconds(config.max_expires) || Infinity;
    const { least, most } = HEARTBEAT_MS;
    // Where there are few places, it must soon be known whether this has one.
    this.#heartbeat = isWide(info) ? Math.min(Math.max(1, num_waiting / FEW_PULLS) * least, most) : least;
  }

  /** Milliseconds without a sign of the server after which a waiting pull is not served. */
  get silence(): number {
    return this.#heartbeat * HEARTBEATS.silence;
  }

  /** A pull that takes what is there. */
  fetching(batch: number): PullRequest {
    return { batch, no_wait: true };
  }

  /**
   * A pull that waits for jobs.
   *
   * @param most Milliseconds for which it may wait.
   */
  waiting(batch: number, most: number = Infinity): PullRequest {
    const expires = Math.min(this.#heartbeat * HEARTBEATS.renewal, this.#maxExpires, most);
    return {
      batch,
      expires: nanoseconds(expires),
      idle_heartbeat: nanoseconds(Math.min(this.#heartbeat, expires / 2)),
    };
  }

  /** What to request instead of what the server refused; `null` if less would not help. */
  lower(request: PullRequest, refusal: string): PullRequest | null {
    const batch = Number(/^Exceeded MaxRequestBatch of (\d+)/i.exec(refusal)?.[1] ?? 0);
    if (batch > 0 && batch < request.batch) {
      this.maxBatch = batch;
      return { ...request, batch };
    }
    const expires = readDuration(/^Exceeded MaxRequestExpires of (\S+)/i.exec(refusal)?.[1] ?? "") ?? 0;
    if (expires === 0 || expires >= (request.expires ?? 0)) return null;
    this.#maxExpires = milliseconds(expires);
    return this.waiting(request.batch);
  }
}

/** Whether as many pulls may wait at a durable consumer as there can be workers. */
export function isWide({ config }: ConsumerInfo): boolean {
  return (config.max_waiting ?? 0) >= MAX_WAITING;
}
