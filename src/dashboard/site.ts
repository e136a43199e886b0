import type { Logger } from "../connection/logger.ts";
import type { JetStreamStores } from "../stores.ts";
import type { QueueMonitor } from "./queue_monitor.ts";
import type { WorkerMonitor } from "./worker_monitor.ts";

/** What all pages of one dashboard share. */
export interface Site {
  readonly stores: JetStreamStores;
  readonly readOnly: boolean;
  /** The path of the overview, without a trailing slash. */
  readonly base: string;
  readonly monitor: QueueMonitor;
  readonly workers: WorkerMonitor;
  readonly logger: Logger;
}

/** The path of a page; each part is encoded. */
export function path({ base }: Site, ...parts: string[]): string {
  return `${base}/${parts.map(encodeURIComponent).join("/")}`;
}

/** A path with a query; parts that are empty are left out. */
export function query(path: string, parameters: Record<string, string | number | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? path : `${path}?${text}`;
}
