import { Hono } from "hono";
import { wrongType } from "../checks.ts";
import { consoleLogger, guardedLogger, type Logger } from "../connection/logger.ts";
import { processStores } from "../process_stores.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { JetStreamStores } from "../stores.ts";
import { guard } from "./guard.ts";
import { acceptedHosts } from "./hosts.ts";
import { healthCheckPages } from "./health_check_pages.ts";
import { jobPages } from "./job_pages.ts";
import { LIVE_SCRIPT } from "./live_script.ts";
import { objectPages } from "./object_pages.ts";
import { overviewPages } from "./overview_pages.ts";
import type { Site } from "./site.ts";
import { failurePage, missingPage } from "./page.ts";
import { queueChanges } from "./queue_changes.ts";
import { queuePages } from "./queue_pages.ts";
import { QueueMonitor } from "./queue_monitor.ts";
import { deadLetterPages } from "./dead_letter_pages.ts";
import { ICON, STYLE } from "./style.ts";
import { WorkerMonitor } from "./worker_monitor.ts";
import { valuePages } from "./value_pages.ts";

/**
 * Options of {@linkcode dashboard}.
 *
 * @category Dashboard
 */
export interface DashboardOptions {
  /**
   * Whose queues and buckets are shown.
   *
   * @default {those of the process-wide functions}
   */
  stores?: JetStreamStores;
  /**
   * The path under which the handler is mounted, for instance `/admin/jetstream`.
   *
   * @default {"/"}
   */
  base?: string;
  /**
   * Whether nothing can be changed: every request but GET and HEAD is refused.
   *
   * @default {false}
   */
  readOnly?: boolean;
  /**
   * Decides about every request, before anything is read: `true` lets it pass, `false` is a 403, and a response is sent as it is (a redirect to a
   * login, a 401).
   *
   * @default {all may}
   */
  authorize?: (request: Request) => boolean | Response | Promise<boolean | Response>;
  /**
   * Names and addresses that requests may name (their `Host`), without ports; all others get a 403. Without this and without `authorize` only a
   * loopback host is answered, as any site may give itself a name that leads to this machine (DNS rebinding).
   *
   * @default {with `authorize`: all; without: localhost, 127.0.0.0/8 and [::1]}
   */
  hosts?: readonly string[];
  /**
   * Gets one line for what a page could not show; `false`: nothing is logged.
   *
   * @default {console, on standard error}
   */
  logger?: Logger | false;
}

const OPTIONS: OptionNames<DashboardOptions> = {
  stores: true,
  base: true,
  readOnly: true,
  authorize: true,
  hosts: true,
  logger: true,
};

/** A path without a trailing slash, `.` or `..`. */
const BASE = /^(?:\/[A-Za-z0-9_~%-][A-Za-z0-9._~%-]*)*\/?$/;

/**
 * Makes the dashboard: one fetch handler. It sends requests to NATS only while a page is open.
 *
 * Everyone who can reach it can read all jobs, keys and values, and change them unless it is `readOnly`. Without `authorize` and `hosts` it answers requests
 * for a loopback host only: give it `authorize` before others can reach it.
 *
 * @returns The handler. It answers 503 with a page that says so while there is no connection.
 * @throws {TypeError | RangeError} If an option is wrong.
 *
 * @example Behind a password
 * ```ts
 * import { dashboard } from "@supercheck/jetstream/dashboard";
 *
 * const handler = dashboard({
 *   base: "/jetstream",
 *   authorize: (request) => request.headers.get("x-role") === "operator",
 * });
 * const request = new Request("http://localhost/jetstream");
 * console.log((await handler(request)).status); // 403
 * ```
 *
 * @category Dashboard
 */
export function dashboard(options?: DashboardOptions): (request: Request) => Promise<Response> {
  const doing = "make the dashboard";
  const {
    stores = processStores,
    base = "/",
    readOnly = false,
    authorize,
    hosts,
    logger: given = consoleLogger,
  } = checkOptions(options, OPTIONS, doing);
  if (!(stores instanceof JetStreamStores)) throw wrongType(`${doing} as 'stores' must be a JetStreamStores`, stores);
  if (typeof base !== "string" || !BASE.test(base)) throw wrongType(`${doing} as 'base' must be a path`, base);
  if (typeof readOnly !== "boolean") throw wrongType(`${doing} as 'readOnly' must be true or false`, readOnly);
  if (authorize !== undefined && typeof authorize !== "function") {
    throw wrongType(`${doing} as 'authorize' must be a function`, authorize);
  }
  const acceptsHost = acceptedHosts(hosts, authorize !== undefined, doing);
  const path = base.replace(/\/$/, "");
  const logger = guardedLogger(given);
  const monitors = { monitor: new QueueMonitor(stores, logger), workers: new WorkerMonitor(stores) };
  const site: Site = { stores, readOnly, base: path, logger, ...monitors };
  const app = new Hono({ strict: false });
  app.use(guard({ acceptsHost, readOnly, authorize }));
  const pages = new Hono({ strict: false });
  const asset = (type: string, text: string) => () =>
    new Response(text, { headers: { "content-type": type, "cache-control": "max-age=3600" } });
  pages.get("/style.css", asset("text/css; charset=utf-8", STYLE));
  pages.get("/live.js", asset("text/javascript; charset=utf-8", LIVE_SCRIPT));
  pages.get("/icon.svg", asset("image/svg+xml", ICON));
  const rooms = [
    overviewPages,
    queuePages,
    queueChanges,
    jobPages,
    deadLetterPages,
    healthCheckPages,
    valuePages,
    objectPages,
  ];
  for (const room of rooms) room(pages, site);
  app.route(path || "/", pages);
  app.notFound((context) => missingPage(context, site));
  app.onError((error, context) => failurePage(context, site, error));
  return async (request) => await app.fetch(request);
}
