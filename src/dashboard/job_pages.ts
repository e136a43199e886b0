import type { Context, Hono } from "hono";
import { html } from "hono/html";
import { ask } from "./ask.ts";
import { changeLink, doneNote } from "./confirm.ts";
import { moment, span } from "./figures.ts";
import type { DeadLetter } from "../queue/store/dead_letters.ts";
import type { JobInfo } from "../queue/store/find_job.ts";
import { card, livePage, type Markup, nothing, type Page } from "./page.ts";
import { queueOf } from "./queue_changes.ts";
import { jobChanges } from "./job_changes.ts";
import { idOf, json } from "./job_text.ts";
import { path, type Site } from "./site.ts";
import { traceIdOf } from "./trace_id.ts";

/** The page of a job, alive or dead, and what can be done with it. */
export function jobPages(app: Hono, site: Site): void {
  livePage(app, "/queues/:queue/jobs/:id", site, (context) => jobPage(context, site));
  jobChanges(app, site);
}

async function jobPage(context: Context, site: Site): Promise<Page | null> {
  const [name, id] = [queueOf(context), idOf(context)];
  const queue = site.stores.jobQueue(name);
  const [job, letter, result, progress] = await Promise.all([
    ask(site.stores, () => queue.get(id)),
    ask(site.stores, () => queue.deadLetter(id)),
    ask(site.stores, () => queue.result(id)),
    ask(site.stores, () => queue.progress(id)),
  ]);
  const stored = job ?? letter;
  if (!stored && !result && !progress) return null;
  const headers = Object.entries(stored?.headers ?? {});
  const text = (value: string): Markup => html`<pre tabindex="0">${value}</pre>`;
  return {
    title: id,
    current: "Queues",
    body: [
      doneNote(context),
      html`<div class="row" id="actions"><a href="${path(site, "queues", name)}">${name}</a><span class="grow"></span>${
        job ? jobActions(site, name, job) : letter ? letterActions(site, name, letter) : ""
      }</div>`,
      card(
        "state",
        "State",
        list(job ? jobFacts(job) : letter ? letterFacts(letter) : [["State", "completed, or gone"]]),
      ),
      card("data", "Data", stored ? text(json(stored.data, 2)) : nothing("Its message is gone.")),
      ...(progress
        ? [
          card(
            "progress",
            "Progress",
            text(json(progress.value, 2)),
            `${span(Date.now() - progress.at.getTime())} ago`,
          ),
        ]
        : []),
      ...(result ? [card("result", "Result", text(resultText(result.value)))] : []),
      ...(!job && letter?.stack !== undefined ? [card("stack", "Stack of the last error", text(letter.stack))] : []),
      card("headers", "Headers", headers.length > 0 ? list(headers) : nothing("None of its publisher's.")),
    ],
  };
}

function jobActions(site: Site, queue: string, { id, state }: JobInfo): (Markup | string)[] {
  const link = (what: string, label: string, look: "main" | "danger" | "" = "") =>
    changeLink(site, path(site, "queues", queue, "jobs", id, what), label, look);
  return [
    state === "delayed" ? link("promote", "Run now …", "main") : "",
    state === "active" ? "" : link("reschedule", "Reschedule …"),
    state === "active" ? "" : link("update", "Change data …"),
    link("cancel", "Cancel …", "danger"),
  ];
}

function letterActions(site: Site, queue: string, { id }: DeadLetter): (Markup | string)[] {
  const target = (what: string) => path(site, "queues", queue, "jobs", id, what);
  return [
    changeLink(site, target("redrive"), "Redrive …", "main"),
    changeLink(site, target("discard"), "Discard …", "danger"),
  ];
}

type Fact = [name: string, value: string];

function jobFacts({ state, priority, attempt, enqueuedAt, runAt, headers }: JobInfo): Fact[] {
  return [
    ["State", state === "ready" ? "waiting" : state],
    ["Priority", priority],
    ["Attempt", String(attempt)],
    ["Published", `${moment(enqueuedAt)}, ${span(Date.now() - enqueuedAt.getTime())} ago`],
    ...(runAt ? [["Due", moment(runAt)] as Fact] : []),
    ...traceFacts(headers),
  ];
}

function letterFacts({ reason, attempts, enqueuedAt, diedAt, headers }: DeadLetter): Fact[] {
  return [
    ["State", "dead"],
    ["Reason", reason],
    ["Attempts", String(attempts)],
    ["Published", moment(enqueuedAt)],
    ["Died", `${moment(diedAt)}, ${span(Date.now() - diedAt.getTime())} ago`],
    ...traceFacts(headers),
  ];
}

function traceFacts(headers: Record<string, string>): Fact[] {
  const trace = traceIdOf(headers);
  return trace === undefined ? [] : [["Trace", trace]];
}

function list(facts: readonly Fact[]): Markup {
  const pairs = facts.map(([name, value]) =>
    html`
      <dt>${name}</dt>
      <dd>${value}</dd>
    `
  );
  return html`<dl>${pairs}</dl>`;
}

function resultText(value: unknown): string {
  return value === undefined ? "The job is completed; what its handler returned could not be kept." : json(value, 2);
}
