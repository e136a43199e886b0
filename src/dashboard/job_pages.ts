import type { Context, Hono } from "hono";
import { html } from "hono/html";
import { ask } from "./ask.ts";
import { change, changeLink, doneNote } from "./confirm.ts";
import { moment } from "./figures.ts";
import { card, livePage, type Markup, nothing, type Page } from "./page.ts";
import { queueOf } from "./queue_changes.ts";
import { json } from "./queue_pages.ts";
import { path, type Site } from "./site.ts";

/** The page of a job, alive or dead, and its cancel. */
export function jobPages(app: Hono, site: Site): void {
  livePage(app, "/queues/:queue/jobs/:id", site, (context) => jobPage(context, site));
  change(app, "/queues/:queue/jobs/:id/cancel", site, async (context) => {
    const [queue, id] = [queueOf(context), idOf(context)];
    const job = await ask(site.stores, () => site.stores.jobQueue(queue).get(id));
    return job && {
      title: `Cancel ${id}`,
      current: "Queues",
      what: `Removes 1 job that is ${job.state}. ${
        job.state === "active" ? "The signal of its handler aborts." : "It will not run."
      }`,
      button: "Cancel 1 job",
      danger: true,
      back: path(site, "queues", queue),
    };
  }, async (context) => {
    const cancelled = await site.stores.jobQueue(queueOf(context)).cancel(idOf(context));
    return cancelled === null ? null : { kind: "cancelled", count: Number(cancelled) };
  });
}

/** The job that a path names. */
export function idOf(context: Context): string {
  return context.req.param("id") ?? "";
}

async function jobPage(context: Context, site: Site): Promise<Page | null> {
  const [name, id] = [queueOf(context), idOf(context)];
  const queue = site.stores.jobQueue(name);
  const [job, letter, result] = await Promise.all([
    ask(site.stores, () => queue.get(id)),
    ask(site.stores, () => queue.deadLetter(id)),
    ask(site.stores, () => queue.result(id)),
  ]);
  if (!job && !letter && !result) return null;
  const act = (what: string) => path(site, "queues", name, "jobs", id, what);
  const facts: [string, string][] = job
    ? [
      ["State", job.state],
      ["Priority", job.priority],
      ["Attempt", String(job.attempt)],
      ["Published", moment(job.enqueuedAt)],
      ...(job.runAt ? [["Due", moment(job.runAt)] as [string, string]] : []),
    ]
    : letter
    ? [
      ["State", "dead"],
      ["Reason", letter.reason],
      ["Attempts", String(letter.attempts)],
      ["Published", moment(letter.enqueuedAt)],
      ["Died", moment(letter.diedAt)],
    ]
    : [["State", "completed"]];
  const headers = Object.entries((job ?? letter)?.headers ?? {});
  const actions = [
    job ? changeLink(site, act("cancel"), "Cancel …", "danger") : "",
    letter && !job ? changeLink(site, act("redrive"), "Redrive …", "main") : "",
    letter && !job ? changeLink(site, act("discard"), "Discard …", "danger") : "",
  ];
  const list = (pairs: [string, string][]): Markup =>
    html`<dl>${
      pairs.map(([name, value]) =>
        html`
          <dt>${name}</dt>
          <dd>${value}</dd>
        `
      )
    }</dl>`;
  return {
    title: id,
    current: "Queues",
    body: [
      doneNote(context),
      html`<div class="row"><a href="${
        path(site, "queues", name)
      }">${name}</a><span class="grow"></span>${actions}</div>`,
      card("state", "State", list(facts)),
      card(
        "data",
        "Data",
        job || letter
          ? html`<pre tabindex="0">${pretty((job ?? letter)!.data)}</pre>`
          : nothing("Its message is gone."),
      ),
      card("headers", "Headers", headers.length > 0 ? list(headers) : nothing("None of its publisher's.")),
      ...(letter?.stack === undefined
        ? []
        : [card("stack", "Stack of the last error", html`<pre tabindex="0">${letter.stack}</pre>`)]),
      ...(result ? [card("result", "Result", html`<pre tabindex="0">${pretty(result.value)}</pre>`)] : []),
    ],
  };
}

function pretty(data: unknown): string {
  return data === undefined ? json(data) : JSON.stringify(data, null, 2);
}
