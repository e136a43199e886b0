import type { Context } from "hono";
import { html } from "hono/html";
import type { JobQueue } from "../queue/job_queue.ts";
import type { JobInfo } from "../queue/store/find_job.ts";
import { excerpt, moment, span } from "./figures.ts";
import { json } from "./job_text.ts";
import { card, type Markup, nothing, table } from "./page.ts";
import { PRIORITIES } from "./queue_changes.ts";
import { path, query, type Site } from "./site.ts";
import { some } from "./some.ts";

/** Jobs on a page. */
const SHOWN = 50;

/** What the list can show, and what the tabs say. */
const KINDS = { ready: "waiting", active: "active", delayed: "delayed", keyed: "with a key" };

type Kind = keyof typeof KINDS;

/** The jobs of a queue by state, a page of them, from where the page before ended. */
export async function jobListCard(context: Context, site: Site, queue: JobQueue): Promise<Markup> {
  const kind = (Object.keys(KINDS) as Kind[]).find((kind) => kind === context.req.query("kind")) ?? "ready";
  const jobs = await jobsOf(queue, kind, context);
  const here = path(site, "queues", queue.name);
  const tabs = Object.entries(KINDS).map(([each, label]) =>
    html`
      <a href="${query(here, { kind: each })}" ${each === kind
        ? html`
          aria-current="true"
        `
        : ""}>${label}</a>
    `
  );
  const last = jobs.at(-1);
  const next = last && jobs.length === SHOWN
    ? html`<div class="pages"><a href="${
      query(here, { kind, priority: last.priority, after: last.sequence })
    }">Next ${SHOWN}</a></div>`
    : "";
  const heading = html`<nav aria-label="Jobs by state">${tabs}<a href="${here}/dead">dead</a></nav>`;
  return card("jobs", heading, html`${jobTable(site, queue.name, jobs)}${next}`, "oldest first");
}

function jobTable(site: Site, queue: string, jobs: readonly JobInfo[]): Markup {
  if (jobs.length === 0) return nothing("No jobs.");
  const rows = jobs.map(({ id, state, priority, attempt, enqueuedAt, runAt, data }) =>
    html`
      <tr>
        <td class="long"><a href="${path(site, "queues", queue, "jobs", id)}">${excerpt(id, 80)}</a></td>
        <td class="text">${state === "ready" ? "waiting" : state}</td>
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

async function jobsOf(queue: JobQueue, kind: Kind, context: Context): Promise<JobInfo[]> {
  let after = Math.max(0, Math.trunc(Number(context.req.query("after"))) || 0);
  if (kind === "keyed") return await some(queue.jobs({ kind, after }), SHOWN);
  const first = PRIORITIES.findIndex((priority) => priority === context.req.query("priority"));
  const jobs: JobInfo[] = [];
  for (const priority of PRIORITIES.slice(Math.max(0, first))) {
    if (jobs.length < SHOWN) jobs.push(...await some(queue.jobs({ kind, priority, after }), SHOWN - jobs.length));
    after = 0;
  }
  return jobs;
}
