import type { Context, Hono } from "hono";
import { html } from "hono/html";
import { counted } from "./figures.ts";
import { type Markup, missingPage, type Page, send } from "./page.ts";
import { readForm } from "./read_form.ts";
import { query, type Site } from "./site.ts";

/** A change that a page has confirmed before it is made. */
export interface Change {
  title: string;
  current: Page["current"];
  /** What it will do, with how many it touches. */
  what: Markup | string;
  /** What the button says. */
  button: string;
  /** Whether it removes something for good. */
  danger?: boolean;
  /** More fields of the form. */
  fields?: Markup | Markup[] | "";
  /** The page it comes from and leads back to. */
  back: string;
}

/** What was done: how many it touched; `null`: the server has not confirmed it. */
export type Done = { kind: keyof typeof DONE; count: number } | null;

const CHANGED_MEANWHILE = "The job is active by now, or no longer there";

/** What is said of a change that was made. */
const DONE = {
  redriven: (n: number) => `${counted(n, "job")} redriven`,
  discarded: (n: number) => `${counted(n, "dead letter")} discarded`,
  redrivenSoFar: (n: number) => `${counted(n, "job")} redriven so far, the rest follows`,
  discardedSoFar: (n: number) => `${counted(n, "dead letter")} discarded so far, the rest follows`,
  cancelled: (n: number) => n === 0 ? "The job was no longer there" : `${counted(n, "job")} cancelled`,
  promoted: (n: number) => n === 0 ? CHANGED_MEANWHILE : `${counted(n, "job")} promoted`,
  rescheduled: (n: number) => n === 0 ? CHANGED_MEANWHILE : `${counted(n, "job")} rescheduled`,
  updated: (n: number) => n === 0 ? CHANGED_MEANWHILE : `${counted(n, "job")} changed`,
  paused: () => "The queue is paused",
  resumed: () => "The queue is resumed",
  limited: () => "The limits are in force",
  published: (n: number) => `${counted(n, "job")} published`,
  deleted: (n: number) => `${counted(n, "entry", "entries")} deleted`,
};

/**
 * Serves a change: its page asks, and only the form on it makes the change. It leads back to where it came from, and says there what was done.
 *
 * @param ask Looks what would be touched; `null`: there is nothing.
 * @param make Makes the change.
 */
export function change(
  app: Hono,
  route: string,
  site: Site,
  ask: (context: Context) => Promise<Change | null>,
  make: (context: Context, form: FormData) => Promise<Done>,
): void {
  app.get(route, async (context) => {
    const change = await ask(context);
    return change ? send(context, site, asking(site, change)) : missingPage(context, site);
  });
  app.post(route, async (context) => {
    const form = await readForm(context.req.raw);
    const done = await make(context, form);
    const back = String(form.get("back") ?? "");
    return context.redirect(withDone(backPath(site, back), done), 303);
  });
}

/** Only a path of this dashboard, as the browser will read it: another's could lead anywhere. */
function backPath({ base }: Site, back: string): string {
  const url = URL.parse(back, "http://localhost");
  const isOurs = url?.host === "localhost" && url.pathname.startsWith(`${base}/`) && !url.pathname.startsWith("//");
  return isOurs ? url.pathname + url.search : `${base}/`;
}

function withDone(target: string, done: Done): string {
  const url = new URL(target, "http://localhost");
  url.searchParams.set("done", done?.kind ?? "unconfirmed");
  url.searchParams.set("n", String(done?.count ?? 0));
  return url.pathname + url.search;
}

function asking(site: Site, { title, current, what, button, danger = false, fields = "", back }: Change): Page {
  const locked = html`<p class="note">This dashboard is read-only.</p>`;
  const form =
    html`<form class="ask" method="post"><p>${what}</p>${fields}<input type="hidden" name="back" value="${back}">
<div class="row"><button class="${
      danger ? "danger" : "main"
    }">${button}</button><a class="button" href="${back}">Back</a></div></form>`;
  return { title, current, body: html`<section class="card">${site.readOnly ? locked : form}</section>` };
}

/** A link to the page that asks; none on a dashboard that is read-only. */
export function changeLink(
  site: Site,
  target: string,
  label: string,
  look: "main" | "danger" | "" = "",
  parameters: Record<string, string | number | undefined> = {},
): Markup | string {
  return site.readOnly ? "" : html`<a class="button ${look}" href="${query(target, parameters)}">${label}</a>`;
}

/** What was just done, as the page it leads back to says it. */
export function doneNote(context: Context): Markup | string {
  const kind = context.req.query("done");
  if (kind === undefined) return "";
  const count = Math.max(0, Math.trunc(Number(context.req.query("n"))) || 0);
  const text = Object.hasOwn(DONE, kind)
    ? DONE[kind as keyof typeof DONE](count)
    : "The server has not confirmed it: check whether it was done";
  return html`
    <section class="card done" role="status">
      <p class="note">${text}</p>
    </section>
  `;
}
