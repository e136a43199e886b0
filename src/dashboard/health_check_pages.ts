import type { Hono } from "hono";
import { html } from "hono/html";
import type { ObjectInfo } from "../object/format/object_info.ts";
import { counted, excerpt, size, span } from "./figures.ts";
import { card, livePage, nothing, table } from "./page.ts";
import type { Site } from "./site.ts";

/** Health checks that are shown at most. */
const SHOWN = 500;

/** Bytes of a result that is read. */
const MAX_RESULT = 64 * 1024;

/** Milliseconds for which what was read is shown to whoever else looks. */
const FRESH = 1_500;

/** The last result of a health check. */
export interface HealthCheck {
  url: string;
  /** What the service stored. */
  json: string;
  /** Whether its `status` is below 400. A result without a status, or one that is too large to be read, counts as up. */
  up: boolean;
  at: Date;
}

const known = new WeakMap<Site, { at: number; checks: Promise<HealthCheck[]> }>();

/** The results of the last 30 seconds, those that are down first. */
export function healthChecks(site: Site): Promise<HealthCheck[]> {
  const last = known.get(site);
  if (last && performance.now() - last.at < FRESH) return last.checks;
  const checks = readChecks(site);
  known.set(site, { at: performance.now(), checks });
  return checks;
}

async function readChecks({ stores }: Site): Promise<HealthCheck[]> {
  const bucket = stores.objectBucket("supercheck");
  const infos: ObjectInfo[] = [];
  for await (const info of bucket.list()) if (infos.push(info) === SHOWN) break;
  const read = await Promise.all(infos.map(async ({ name, mtime, size: bytes }) => {
    // Anybody may store anything there, and all of it is read at once.
    if (bytes > MAX_RESULT) return { url: name, json: `a result of ${size(bytes)}`, up: true, at: mtime };
    const json = await bucket.getText(name);
    return json === null ? null : { url: name, json, up: isUp(json), at: mtime };
  }));
  return read.filter((check) => check !== null).sort((a, b) =>
    Number(a.up) - Number(b.up) || a.url.localeCompare(b.url)
  );
}

function isUp(json: string): boolean {
  try {
    const { status } = JSON.parse(json) as { status?: unknown };
    return typeof status !== "number" || status < 400;
  } catch {
    return false;
  }
}

/** The page of the health checks. */
export function healthCheckPages(app: Hono, site: Site): void {
  livePage(app, "/checks", site, async () => {
    const checks = await healthChecks(site);
    const rows = checks.map(({ url, json, up, at }) =>
      html`
        <tr>
          <td class="long">${url}</td>
          <td class="text"><span class="pill ${up ? "" : "bad"}">${up ? "up" : "down"}</span></td>
          <td class="n">${span(Date.now() - at.getTime())}</td>
          <td class="long">${excerpt(json, 300)}</td>
        </tr>
      `
    );
    const rowsTable = table("Health checks", [["URL"], ["State", "text"], ["Age"], ["Result", "text"]], rows);
    const more = checks.length === SHOWN ? `the first ${SHOWN}` : "of the last 30 seconds · down first · live";
    const content = checks.length > 0 ? rowsTable : nothing("No result of the last 30 seconds.");
    return {
      title: "Health checks",
      current: "Health checks",
      body: card("checks", counted(checks.length, "health check"), content, more),
    };
  });
}
