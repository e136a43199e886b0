import type { NatsConnection } from "@nats-io/nats-core";
import { backoff } from "./backoff.ts";
import type { ConnectTarget } from "./_connect_target.ts";
import { delay, settledWithin } from "../delay.ts";
import { dial } from "./_dial.ts";
import { followStatus, type StatusEvents } from "./_status_events.ts";

/** What happens to a connection that is kept. */
export interface KeeperEvents extends Pick<StatusEvents, "denied" | "reported"> {
  connected(nc: NatsConnection): void;
  lost(nc: NatsConnection, why: Error | undefined): void;
  /** An attempt failed; the next one follows. */
  failed(error: unknown): void;
  /** An attempt takes longer than callers should wait for it. */
  late(): void;
}

const RECONNECT_DELAY_MS = { base: 100, max: 4_000 };

/** Milliseconds after which a connection counts as stable: one that broke earlier is not made again at once. */
const STABLE_AFTER_MS = 1_000;

/** Connects, and connects again after each loss, until the signal aborts; then releases all it holds, and resolves. */
export async function keepConnected(target: ConnectTarget, events: KeeperEvents, stop: AbortSignal): Promise<void> {
  let announced: string[] = [];
  for (let failures = 0; !stop.aborted;) {
    try {
      const dialling = dial(target, announced, stop);
      settledWithin(dialling, target.connectTimeout).then((settled) => settled || stop.aborted || events.late());
      const nc = await dialling;
      const since = performance.now();
      announced = await hold(nc, events, stop);
      failures = performance.now() - since < STABLE_AFTER_MS ? failures + 1 : 0;
    } catch (error) {
      if (stop.aborted) return;
      events.failed(error);
      failures++;
    }
    // A stable connection that is lost is made again at once.
    if (failures > 0) await delay(backoff(failures, RECONNECT_DELAY_MS), { signal: stop, persistent: false });
  }
}

/**
 * Holds a connection until it breaks, which closes it, or the signal aborts.
 *
 * @returns The servers that the cluster announced.
 */
async function hold(nc: NatsConnection, events: KeeperEvents, stop: AbortSignal): Promise<string[]> {
  const over = new AbortController();
  let announced = nc.info?.connect_urls ?? [];
  const following = followStatus(nc, {
    announced: () => announced = nc.info?.connect_urls ?? announced,
    denied: events.denied,
    reported: events.reported,
  }, over.signal);
  stop.addEventListener("abort", () => void nc.close(), { once: true, signal: over.signal });
  try {
    if (stop.aborted) return announced;
    events.connected(nc);
    const why = await nc.closed();
    if (!stop.aborted) events.lost(nc, why || undefined);
    return announced;
  } finally {
    over.abort();
    await Promise.all([nc.close(), following]);
  }
}
