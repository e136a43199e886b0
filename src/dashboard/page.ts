import type { Context } from "hono";
import { html } from "hono/html";
import { streamSSE } from "hono/streaming";
import type { Hono } from "hono";
import { JetStreamStoreError } from "../errors.ts";
import { excerpt } from "./figures.ts";
import { path, query, type Site } from "./site.ts";

/** A part of a page, in which all text is escaped. */
export type Markup = ReturnType<typeof html>;

/** The pages of the navigation. */
const NAVIGATION = [
  { title: "Overview", parts: [] },
  { title: "Queues", parts: ["queues"] },
  { title: "Health checks", parts: ["checks"] },
  { title: "Values", parts: ["values"] },
  { title: "Objects", parts: ["objects"] },
] as const;

/** Milliseconds between two live updates of a page. */
const LIVE = 2_000;

/** A page without what all have in common. */
export interface Page {
  title: string;
  /** The entry of the navigation it belongs to. */
  current: (typeof NAVIGATION)[number]["title"];
  body: Markup | (Markup | string)[];
  /** Where its live updates come from. */
  live?: string;
}

/** Sends a page; without a connection one that says so. */
export function send(
  context: Context,
  site: Site,
  page: Page,
  status: 200 | 400 | 404 | 409 | 503 = 200,
): Response | Promise<Response> {
  return context.html(layout(site, page), status);
}

/** Serves a page, and its sections repeatedly while it is open. */
export function livePage(
  app: Hono,
  route: string,
  site: Site,
  render: (context: Context) => Promise<Page | null>,
): void {
  app.get(route, async (context) => {
    const page = await render(context);
    const live = `${new URL(context.req.url).pathname.replace(/\/$/, "")}/live${new URL(context.req.url).search}`;
    return page ? send(context, site, { ...page, live }) : missingPage(context, site);
  });
  app.get(`${route === "/" ? "" : route}/live`, (context) =>
    streamSSE(context, async (stream) => {
      while (!stream.aborted) {
        const began = performance.now();
        let trouble: Markup | string = "";
        const page = await render(context).catch((error) => {
          trouble = nothing(`Not up to date: ${reasonOf(site, context, error)}`);
          return null;
        });
        const parts = html`${connectionOf(site)}<div id="trouble" role="alert">${trouble}</div>${page?.body ?? ""}`;
        await stream.writeSSE({ data: String(await parts) });
        // A page that takes long to make comes less often, so that who looks costs at most a tenth of this process.
        await stream.sleep(Math.max(LIVE, 10 * (performance.now() - began)));
      }
    }));
}

/** What is not there, any more or yet. */
export function missingPage(context: Context, site: Site): Response | Promise<Response> {
  const body = html`
    <section class="card">
      <p class="note">There is nothing here: it has ended, expired or was removed.</p>
    </section>
  `;
  return send(context, site, { title: "Not found", current: "Overview", body }, 404);
}

/** What could not be read, with the reason; the error itself may name files of credentials. */
export function failurePage(context: Context, site: Site, error: Error): Response | Promise<Response> {
  const body = html`
    <section class="card" role="alert">
      <div class="alert"><i class="dot bad"></i><div>${reasonOf(site, context, error)}</div></div>
    </section>
  `;
  const isWrong = error instanceof TypeError || error instanceof RangeError;
  const isRefused = error instanceof JetStreamStoreError && error.code !== "disconnected";
  const status = isWrong ? 400 : isRefused ? 409 : 503;
  return send(context, site, {
    title: isWrong || isRefused ? "Not possible" : "Unavailable",
    current: "Overview",
    body,
  }, status);
}

/** What is said of an error; one that the library does not name may quote anything, and goes to the log. */
function reasonOf(site: Site, context: Context, error: unknown): string {
  if (error instanceof JetStreamStoreError && error.code === "disconnected") {
    return "NATS is unavailable. This page is there again as soon as the connection is.";
  }
  const known = error instanceof JetStreamStoreError || error instanceof TypeError || error instanceof RangeError;
  if (known) return excerpt(error.message, 500);
  site.logger.error(`The dashboard failed at ${context.req.path}: ${error instanceof Error ? error.stack : error}`);
  return "An unexpected error: see the log of this process";
}

function layout(site: Site, { title, current, body, live }: Page): Markup {
  const links = NAVIGATION.map((entry) =>
    html`
      <a href="${path(site, ...entry.parts)}" ${entry.title === current
        ? html`
          aria-current="page"
        `
        : ""}>${entry.title}</a>
    `
  );
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${title} · JetStream</title>
        <link rel="icon" href="${path(site, "icon.svg")}">
        <link rel="stylesheet" href="${path(site, "style.css")}">
        <script src="${path(site, "live.js")}" defer></script>
      </head>
      <body><a class="skip" href="#main">Skip to the content</a><header><div>
    <a class="brand" href="${path(site)}">JetStream</a><nav aria-label="Pages">${links}</nav>${connectionOf(
      site,
    )}</div></header>
    <main id="main"${live === undefined ? "" : html`
      data-live="${live}"
    `}><div id="trouble" role="alert"></div><h1>${title}</h1>${body}</main></body>
    </html>
  `;
}

function connectionOf({ stores }: Site): Markup {
  const status = stores.connectionStatus();
  const info = stores.connectionInfo();
  const colour = status === "connected" ? "" : status === "closed" || status === "none" ? "bad" : "warn";
  const label = status === "none" ? "Not connected" : status[0].toUpperCase() + status.slice(1);
  return html`<div class="conn" role="status" id="connection"><i class="dot ${colour}"></i>${label}${
    info && html`<span class="long">· nats-server ${info.version} · ${info.server}</span>`
  }</div>`;
}

/** A card with a heading of its own. */
export function card(
  id: string,
  heading: Markup | string,
  content: Markup | Markup[],
  more: Markup | string = "",
): Markup {
  return html`
    <section class="card" id="${id}"
      aria-labelledby="${id}-heading"><div class="head"><h2 id="${id}-heading">${heading}</h2>${more &&
        html`<span class="more">${more}</span>`}</div>${content}</section>
  `;
}

/** Where a page of a list begins that `from` in the query names, and the links to those around it; none where one page holds all. */
export function pager(
  context: Context,
  target: string,
  total: number,
  size: number,
): { from: number; links: Markup | string } {
  const from = Math.max(0, Math.trunc(Number(context.req.query("from"))) || 0);
  const parameters = { q: context.req.query("q"), prefix: context.req.query("prefix") };
  const turn = (label: string, to: number) =>
    html`<a href="${query(target, { ...parameters, from: to })}">${label}</a>`;
  const previous = from > 0 ? turn("Previous", Math.max(0, from - size)) : "";
  const next = from + size < total ? turn("Next", from + size) : "";
  return { from, links: previous || next ? html`<div class="pages">${previous}${next}</div>` : "" };
}

/** A line in place of a table without rows. */
export function nothing(text: string): Markup {
  return html`<p class="note">${text}</p>`;
}

/** A figure with its name. */
export function tile(value: string, name: string, bad: boolean = false): Markup {
  return html`<div class="tile${bad ? " bad" : ""}"><b>${value}</b><span>${name}</span></div>`;
}

/** A column: its title, and how it looks (`text`: to the left; `wide`: not on a phone). */
type Column = [title: string, look?: string];

/** A table that scrolls within its card, by keyboard, too. */
export function table(label: string, columns: Column[], rows: Markup[]): Markup {
  const titles = columns.map(([title, look = ""]) => html`<th class="${look}">${title}</th>`);
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="${label}">
      <table>
        <thead>
          <tr>${titles}</tr>
        </thead>
        <tbody>${rows}</tbody>
      </table>
    </div>
  `;
}
