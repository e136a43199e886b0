import type { Hono } from "hono";
import { html } from "hono/html";
import type { JobCounts } from "../queue/manage/job_counts.ts";
import { amount, counted, excerpt, rate, span } from "./figures.ts";
import { type HealthCheck, healthChecks } from "./health_check_pages.ts";
import { card, livePage, type Markup, nothing, type Page, pager, table, tile } from "./page.ts";
import { isLate, type QueueFigures, waiting } from "./queue_monitor.ts";
import { path, type Site } from "./site.ts";
import { sparkline } from "./sparkline.ts";

/** Queues on the overview and on a page of all, and health checks that are down. */
const SHOWN = { overview: 25, page: 100, down: 5 };

/** The overview, and the list of all queues. */
export function overviewPages(app: Hono, site: Site): void {
  livePage(app, "/", site, async (): Promise<Page> => {
    const [queues, checks] = await Promise.all([site.monitor.all(), healthChecks(site)]);
    const known = queues.flatMap(({ counts }) => counts ?? []);
    const sum = (pick: (counts: JobCounts) => number) => known.reduce((total, counts) => total + pick(counts), 0);
    const dead = sum(({ dead }) => dead);
    const up = checks.filter(({ up }) => up).length;
    const tiles = html`<section class="tiles" id="now" aria-label="Now">${[
      tile(amount(queues.length), queues.length === 1 ? "queue" : "queues"),
      tile(amount(sum(waiting)), "jobs waiting"),
      tile(`${rate(queues.reduce((total, { rate }) => total + rate, 0))} /s`, "ended"),
      tile(amount(dead), dead === 1 ? "dead letter" : "dead letters", dead > 0),
      tile(amount(sum(({ active }) => active)), "jobs active"),
      tile(checks.length === 0 ? "none" : `${up} of ${checks.length}`, "health checks up", up < checks.length),
    ]}</section>`;
    const shown = queues.slice(0, SHOWN.overview);
    const more = queues.length > shown.length
      ? html`<a href="${path(site, "queues")}">all ${amount(queues.length)}</a>`
      : "in trouble first · live";
    return {
      title: "Overview",
      current: "Overview",
      body: [tiles, attention(site, queues, checks), card("queues", "Queues", queueTable(site, shown), more)],
    };
  });

  livePage(app, "/queues", site, async (context): Promise<Page> => {
    const search = (context.req.query("q") ?? "").toLowerCase();
    const all = (await site.monitor.all()).filter(({ queue }) => queue.toLowerCase().includes(search));
    const { from, links } = pager(context, path(site, "queues"), all.length, SHOWN.page);
    const shown = all.slice(from, from + SHOWN.page);
    const find = html`
      <form class="row end"
        id="find"><input type="search" name="q" value="${search}" aria-label="Search queues" placeholder="Name"><button>Search</button></form>
    `;
    const table = html`${queueTable(site, shown)}${links}`;
    return {
      title: "Queues",
      current: "Queues",
      body: [find, card("queues", counted(all.length, "queue"), table, "in trouble first · live")],
    };
  });
}

/** What needs attention. */
function attention(site: Site, queues: readonly QueueFigures[], checks: readonly HealthCheck[]): Markup {
  const down = checks.filter(({ up }) => !up);
  const alerts = [
    ...down.slice(0, SHOWN.down).map(({ url }) => alert("bad", url, "is down", path(site, "checks"), "Look at it")),
    ...(down.length > SHOWN.down
      ? [alert("bad", counted(down.length - SHOWN.down, "more health check"), "down", path(site, "checks"), "All")]
      : []),
    ...queues.slice(0, SHOWN.overview).flatMap((figures) => queueAlerts(site, figures)),
  ];
  return card("attention", "Needs attention", alerts.length > 0 ? alerts : nothing("Nothing."));
}

function queueAlerts(site: Site, { queue, counts, failure }: QueueFigures): Markup[] {
  const of = (colour: "bad" | "warn", text: string) =>
    alert(colour, queue, text, path(site, "queues", queue), "Open the queue");
  if (failure) return [of("bad", `cannot be counted: ${excerpt(failure.message, 300)}`)];
  if (!counts) return [];
  const { dead, oldest, paused } = counts;
  const open = `${counted(waiting(counts), "job")} waiting`;
  const letters = path(site, "queues", queue, "dead");
  return [
    ...(dead > 0 ? [alert("bad", queue, counted(dead, "dead letter"), letters, "Look at them")] : []),
    ...(isLate(counts) ? [of("warn", `oldest job waits for ${span(oldest!)}, ${open}`)] : []),
    ...(paused ? [of("warn", `paused, ${open}`)] : []),
  ];
}

function alert(colour: "bad" | "warn", what: string, text: string, target: string, action: string): Markup {
  return html`
    <div class="alert">
      <i class="dot ${colour}"></i>
      <div><span class="what">${excerpt(what, 120)}</span> ${text}</div>
      <a class="do" href="${target}">${action}</a>
    </div>
  `;
}

/** The table of some queues. */
function queueTable(site: Site, queues: readonly QueueFigures[]): Markup {
  if (queues.length === 0) return nothing("No queues.");
  const rows = queues.map(({ queue, counts, failure, rates, rate }) => {
    const link = html`<a href="${path(site, "queues", queue)}">${queue}</a> ${counts ? pills(counts) : ""}`;
    if (!counts) {
      return html`
        <tr>
          <td>${link}</td>
          <td class="${failure ? "bad" : "zero"}" colspan="6">${failure ? "cannot be counted" : "counting …"}</td>
        </tr>
      `;
    }
    const late = isLate(counts) ? " warn" : "";
    return html`<tr><td>${link}</td>${cell(waiting(counts), late)}${cell(counts.active)}${
      cell(counts.delayed, " wide")
    }${cell(counts.dead, counts.dead > 0 ? " bad" : "")}<td class="n wide${late}">${
      counts.oldest === null ? "–" : span(counts.oldest)
    }</td><td class="wide">${sparkline([...rates, rate], "ended")}</td></tr>`;
  });
  return table("Queues", [["Queue"], ["Waiting"], ["Active"], ["Delayed", "wide"], ["Dead"], ["Oldest", "wide"], [
    "Ended a second",
    "wide",
  ]], rows);
}

function cell(value: number, look: string = ""): Markup {
  return html`<td class="n${value === 0 ? " zero" : ""}${look}">${amount(value)}</td>`;
}

/** What is wrong with a queue, in a word each. */
export function pills(counts: JobCounts): Markup[] {
  return [
    ...(counts.dead > 0
      ? [html`
        <span class="pill bad">dead letters</span>
      `]
      : []),
    ...(isLate(counts)
      ? [html`
        <span class="pill warn">waiting</span>
      `]
      : []),
    ...(counts.paused
      ? [html`
        <span class="pill">paused</span>
      `]
      : []),
  ];
}
