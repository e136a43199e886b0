import type { Context, Hono } from "hono";
import { html } from "hono/html";
import { streamSSE } from "hono/streaming";
import type { EventDetails, JobEvent } from "../queue/format/job_event.ts";
import type { JobInfo } from "../queue/store/find_job.ts";
import type { JobQueue } from "../queue/job_queue.ts";
import type { ScheduleInfo } from "../queue/manage/schedules.ts";
import { changeLink, doneNote } from "./confirm.ts";
import { amount, counted, excerpt, moment, rate, span } from "./figures.ts";
import { PRIORITIES, queueOf } from "./queue_changes.ts";
import { pills } from "./overview_pages.ts";
import { card, livePage, type Markup, nothing, type Page, table, tile } from "./page.ts";
import { waiting } from "./queue_monitor.ts";
import { path, query, type Site } from "./site.ts";
import { plot } from "./sparkline.ts";

/** Jobs on a page, and schedules that are shown. */
const SHOWN = { jobs: 50, schedules: 100 };

/** What the list of jobs can show. */
const KINDS = ["waiting", "delayed", "keyed"] as const;

/** The page of a queue, its events as they happen, and what can be done with it. */
export function queuePages(app: Hono, site: Site): void {
  livePage(app, "/queues/:queue", site, (context) => queuePage(context, site));
  app.get("/queues/:queue/events", (context) =>
    streamSSE(context, async (stream) => {
      const over = new AbortController();
      stream.onAbort(() => over.abort());
      const events = site.stores.jobQueue(queueOf(context)).events({ signal: over.signal });
      for await (const event of events) await stream.writeSSE({ data: JSON.stringify(eventRow(event)) });
    }));
}

async function queuePage(context: Context, site: Site): Promise<Page | null> {
  const name = queueOf(context);
  const { counts, rates, rate: now } = await site.monitor.one(name);
  if (!counts) return null;
  const queue = site.stores.jobQueue(name);
  const kind = KINDS.find((kind) => kind === context.req.query("kind")) ?? "waiting";
  const [jobs, schedules] = await Promise.all([
    jobsOf(queue, kind, context),
    some(queue.schedules(), SHOWN.schedules),
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
  const here = path(site, "queues", name);
  const act = (what: string) => path(site, "queues", name, what);
  const actions = html`
    <div class="row"
      id="actions">${pills(counts)}<span class="grow"></span>${counts.paused
        ? changeLink(site, act("resume"), "Resume …", "main")
        : changeLink(site, act("pause"), "Pause …")}${changeLink(site, act("limit"), "Limit …")}${changeLink(
          site,
          act("publish"),
          "Publish …",
        )}<a class="button" href="${act("dead")}">Dead letters</a></div>
  `;
  const tabs = KINDS.map((each) =>
    html`
      <a href="${query(here, { kind: each })}" ${each === kind
        ? html`
          aria-current="true"
        `
        : ""}>${each}</a>
    `
  );
  const last = jobs.at(-1);
  const next = last && jobs.length === SHOWN.jobs
    ? html`<div class="pages"><a href="${
      query(here, { kind, priority: last.priority, after: last.sequence })
    }">Next ${SHOWN.jobs}</a></div>`
    : "";
  const feed = html`
    <section class="card" id="events" data-keep data-events="${path(
      site,
      "queues",
      name,
      "events",
    )}" aria-labelledby="events-heading">
      <div
        class="head"><h2 id="events-heading">Events</h2><span class="more">as they happen, from when this page was opened</span></div>
      <div class="scroll">
        <table>
          <tbody></tbody>
        </table>
      </div>
      <p class="note">None yet.</p>
    </section>
  `;
  return {
    title: name,
    current: "Queues",
    body: [
      doneNote(context),
      actions,
      tiles,
      card(
        "rate",
        "Jobs that ended",
        plot([...rates, now], "ended", rates.length > 0 ? `${span(rates.length * 20_000)} ago` : ""),
      ),
      card("limits", "Limits and pause", limitList(counts)),
      card("schedules", counted(schedules.length, "schedule"), scheduleTable(site, name, schedules)),
      card(
        "jobs",
        html`<nav aria-label="Jobs by state">${tabs}</nav>`,
        html`${jobTable(site, name, jobs)}${next}`,
        "oldest first",
      ),
      feed,
    ],
  };
}

function limitList(
  { limits, paused }: {
    limits: Record<string, number | null>;
    paused: { until: Date | null; priorities: readonly string[] } | null;
  },
): Markup {
  const limit = PRIORITIES.map((priority) =>
    html`
      <dt>Active, ${priority}</dt>
      <dd>${limits[priority] === null ? "no limit" : amount(limits[priority]!)}</dd>
    `
  );
  const pause = paused === null
    ? "no"
    : `${paused.priorities.join(", ")}, ${paused.until ? `until ${moment(paused.until)}` : "until resumed"}`;
  return html`<dl><dt>Paused</dt><dd>${pause}</dd>${limit}</dl>`;
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

function jobTable(site: Site, queue: string, jobs: readonly JobInfo[]): Markup {
  if (jobs.length === 0) return nothing("No jobs.");
  const rows = jobs.map(({ id, state, priority, attempt, enqueuedAt, runAt, data }) =>
    html`
      <tr>
        <td class="long"><a href="${path(site, "queues", queue, "jobs", id)}">${excerpt(id, 80)}</a></td>
        <td class="text">${state}</td>
        <td class="text wide">${priority}</td>
        <td class="n wide">${attempt}</td>
        <td class="n">${runAt ? moment(runAt) : span(Date.now() - enqueuedAt.getTime())}</td>
        <td class="long wide">${excerpt(json(data), 120)}</td>
      </tr>
    `
  );
  return table("Jobs", [["Job"], ["State", "text"], ["Priority", "text wide"], ["Attempt", "wide"], ["Due, or age"], [
    "Data",
    "text wide",
  ]], rows);
}

/** The data of a job, as JSON. */
export function json(data: unknown): string {
  return data === undefined ? "not JSON" : JSON.stringify(data);
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

/** A page of jobs, each priority in its order, from where the page before ended. */
async function jobsOf(queue: JobQueue, kind: (typeof KINDS)[number], context: Context): Promise<JobInfo[]> {
  let after = Math.max(0, Math.trunc(Number(context.req.query("after"))) || 0);
  if (kind === "keyed") return await some(queue.jobs({ kind, after }), SHOWN.jobs);
  const first = PRIORITIES.findIndex((priority) => priority === context.req.query("priority"));
  const jobs: JobInfo[] = [];
  for (const priority of PRIORITIES.slice(Math.max(0, first))) {
    if (jobs.length < SHOWN.jobs) {
      jobs.push(...await some(queue.jobs({ kind, priority, after }), SHOWN.jobs - jobs.length));
    }
    after = 0;
  }
  return jobs;
}

async function some<T>(values: AsyncIterable<T>, most: number): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) if (found.push(value) === most) break;
  return found;
}
