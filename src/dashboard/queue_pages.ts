import type { Context, Hono } from "hono";
import { html } from "hono/html";
import { streamSSE } from "hono/streaming";
import type { EventDetails, JobEvent } from "../queue/format/job_event.ts";
import type { JobCounts } from "../queue/manage/job_counts.ts";
import type { ScheduleInfo } from "../queue/manage/schedules.ts";
import { changeLink, doneNote } from "./confirm.ts";
import { amount, counted, excerpt, moment, rate, span } from "./figures.ts";
import { PRIORITIES, queueOf } from "./queue_changes.ts";
import { jobListCard } from "./job_list.ts";
import { json } from "./job_text.ts";
import { some } from "./some.ts";
import { pills } from "./overview_pages.ts";
import { card, livePage, type Markup, nothing, type Page, table, tile } from "./page.ts";
import { waiting } from "./queue_monitor.ts";
import { path, type Site } from "./site.ts";
import { plot } from "./sparkline.ts";
import { workerCard } from "./worker_table.ts";

/** Schedules that are shown. */
const SHOWN = 100;

/** The page of a queue, its events as they happen, and what can be done with it. */
export function queuePages(app: Hono, site: Site): void {
  livePage(app, "/queues/:queue", site, (context) => queuePage(context, site));
  app.get("/queues/:queue/events", (context) =>
    streamSSE(context, async (stream) => {
      const over = new AbortController();
      stream.onAbort(() => over.abort());
      const events = site.stores.jobQueue(queueOf(context)).events({ signal: over.signal });
      for await (const event of events) await stream.writeSSE({ data: JSON.stringify(eventRow(event)) });
    }, async (error) => {
      await Promise.resolve(
        site.logger.warn(`The dashboard cannot follow the events of ${queueOf(context)}: ${error}`),
      );
    }));
}

async function queuePage(context: Context, site: Site): Promise<Page | null> {
  const name = queueOf(context);
  const { counts, rates, rate: now } = await site.monitor.one(name);
  if (!counts) return null;
  const queue = site.stores.jobQueue(name);
  const [jobs, schedules, workers] = await Promise.all([
    jobListCard(context, site, queue),
    some(queue.schedules(), SHOWN),
    site.workers.of(name),
  ]);
  const open = waiting(counts);
  const tiles = html`<section class="tiles" id="now" aria-label="Now">${[
    tile(amount(open), open === 1 ? "job waiting" : "jobs waiting"),
    tile(amount(counts.active), "active"),
    tile(amount(counts.delayed), "delayed"),
    tile(amount(counts.dead), counts.dead === 1 ? "dead letter" : "dead letters", counts.dead > 0),
    tile(counts.oldest === null ? "–" : span(counts.oldest), "oldest waits"),
    tile(`${rate(now)} /s`, "ended"),
  ]}</section>`;
  return {
    title: name,
    current: "Queues",
    body: [
      doneNote(context),
      actionRow(site, name, counts),
      tiles,
      card(
        "rate",
        "Jobs that ended",
        plot([...rates, now], "ended", rates.length > 0 ? `${span(rates.length * 20_000)} ago` : ""),
      ),
      workerCard(workers),
      card("limits", "Limits and pause", limitList(counts)),
      card("schedules", counted(schedules.length, "schedule"), scheduleTable(site, name, schedules)),
      eventFeed(site, name),
      jobs,
    ],
  };
}

function actionRow(site: Site, queue: string, counts: JobCounts): Markup {
  const act = (what: string) => path(site, "queues", queue, what);
  const pause = counts.paused
    ? changeLink(site, act("resume"), "Resume …", "main")
    : changeLink(site, act("pause"), "Pause …");
  const others = [changeLink(site, act("limit"), "Limit …"), changeLink(site, act("publish"), "Publish …")];
  return html`
    <div class="row"
      id="actions">${pills(counts)}<span class="grow"></span>${pause}${others}<a class="button" href="${act(
        "dead",
      )}">Dead letters</a></div>
  `;
}

/** Where the script of the page lists events. */
function eventFeed(site: Site, queue: string): Markup {
  return html`
    <section class="card" id="events" data-keep data-events="${path(
      site,
      "queues",
      queue,
      "events",
    )}" aria-labelledby="events-heading">
      <div class="head">
        <h2 id="events-heading">Events</h2><span class="more">as they happen, while this page is looked at</span>
      </div>
      <div class="scroll">
        <table>
          <tbody></tbody>
        </table>
      </div>
      <p class="note">None yet.</p>
    </section>
  `;
}

function limitList({ limits, paused, rateLimit }: JobCounts): Markup {
  const limited = PRIORITIES.filter((priority) => limits[priority] !== null);
  if (paused === null && limited.length === 0 && rateLimit === null) return nothing("Not paused, no limits.");
  const limit = limited.map((priority) =>
    html`
      <dt>Active, ${priority}</dt>
      <dd>at most ${amount(limits[priority]!)}</dd>
    `
  );
  const pause = paused === null
    ? "no"
    : `${paused.priorities.join(", ")}, ${paused.until ? `until ${moment(paused.until)}` : "until resumed"}`;
  const starts = rateLimit && html`
    <dt>Starts</dt>
    <dd>at most ${amount(rateLimit.jobs)} in ${span(rateLimit.interval)}</dd>
  `;
  return html`<dl><dt>Paused</dt><dd>${pause}</dd>${limit}${starts ?? ""}</dl>`;
}

function scheduleTable(site: Site, queue: string, schedules: readonly ScheduleInfo[]): Markup {
  if (schedules.length === 0) return nothing("No schedules.");
  const rows = schedules.map(({ id, every, cron, timeZone, next, data, priority }) =>
    html`
      <tr>
        <td>${id}</td>
        <td class="text">${every === undefined ? `${cron} ${timeZone ?? "UTC"}` : `every ${span(every)}`}</td>
        <td class="n">${next ? moment(next) : "–"}</td>
        <td class="text wide">${priority}</td>
        <td class="long wide">${excerpt(json(data), 80)}</td>
        <td>${changeLink(site, path(site, "queues", queue, "schedules", id, "run"), "Run now …")}</td>
      </tr>
    `
  );
  return table("Schedules", [["Schedule"], ["When", "text"], ["Next run"], ["Priority", "text wide"], [
    "Data",
    "text wide",
  ], [""]], rows);
}

function eventRow(event: JobEvent): Record<string, string> {
  const { at, type, id, ...details } = event;
  const { attempt, reason, value }: EventDetails = details;
  const detail = [
    attempt === undefined ? "" : `attempt ${attempt}`,
    reason ?? "",
    value === undefined ? "" : json(value),
  ];
  return {
    at: moment(at).slice(11),
    type,
    id: excerpt(id, 80),
    detail: excerpt(detail.filter(Boolean).join(" · "), 300),
  };
}
