import type { Context, Hono } from "hono";
import { html } from "hono/html";
import type { DeadLetter } from "../queue/store/dead_letters.ts";
import { change, changeLink, doneNote } from "./confirm.ts";
import { amount, counted, excerpt, span } from "./figures.ts";
import { card, livePage, type Markup, nothing, type Page } from "./page.ts";
import { queueOf } from "./queue_changes.ts";
import { deadLetterMatches } from "./dead_letter_matches.ts";
import { idOf, json } from "./job_text.ts";
import { path, query, type Site } from "./site.ts";

/** Dead letters that one page reads, and so the most that a change of one of its groups touches. */
const PAGE = 500;

/** Changes that are under way at the same time. */
const TOGETHER = 16;

/** Dead letters of one page with the same reason. */
interface Group {
  reason: string;
  letters: DeadLetter[];
}

/** What of the dead letters a page shows. */
interface Selection {
  /** The sequence below which the page begins; `undefined`: with the newest. */
  before?: number;
  search: string;
  /** Only those with this reason. */
  reason?: string;
}

/** The dead letters of a queue by reason, and what can be done with one, with a group, and with all. */
export function deadLetterPages(app: Hono, site: Site): void {
  livePage(app, "/queues/:queue/dead", site, (context) => deadLetterPage(context, site));
  deadLetterMatches(app, site);
  groupChange(app, site, "redrive");
  groupChange(app, site, "discard");
  oneChange(app, site, "redrive");
  oneChange(app, site, "discard");
  change(app, "/queues/:queue/dead/redrive-all", site, async (context) => {
    const queue = queueOf(context);
    const { counts } = await site.monitor.one(queue);
    return counts && {
      title: `Redrive all of ${queue}`,
      current: "Queues",
      what: `Publishes all ${counted(counts.dead, "dead letter")} again, each under its id.`,
      button: `Redrive ${counted(counts.dead, "job")}`,
      back: path(site, "queues", queue, "dead"),
    };
  }, async (context) => {
    const count = await site.stores.jobQueue(queueOf(context)).redrive("all");
    return count === null ? null : { kind: "redriven", count };
  });
}

async function deadLetterPage(context: Context, site: Site): Promise<Page | null> {
  const name = queueOf(context);
  const { counts } = await site.monitor.one(name);
  if (!counts) return null;
  const selection = selectionOf(context);
  const { letters, last } = await read(site, name, selection);
  const here = path(site, "queues", name, "dead");
  const find = html`
    <form class="row end"
      id="find"><input type="search" name="q" value="${selection
        .search}" aria-label="Search reasons, ids and data" placeholder="Reason, id or data"><button>Search</button>${counts
          .dead > 0
        ? changeLink(site, `${here}/redrive-all`, `Redrive all ${amount(counts.dead)} …`)
        : ""}</form>
  `;
  const isAll = last === undefined && selection.before === undefined;
  const groups = groupsOf(letters).map((group) => groupMarkup(site, name, selection, group, isAll));
  const older = last === undefined
    ? ""
    : html`<div class="pages"><a href="${query(here, { q: selection.search, before: last })}">Older</a></div>`;
  const range = counts.dead > PAGE || selection.before !== undefined
    ? `of ${amount(PAGE)} read at a time, newest first`
    : "newest first";
  return {
    title: `${name} · dead letters`,
    current: "Queues",
    body: [
      doneNote(context),
      html`<p><a href="${path(site, "queues", name)}">${name}</a> · ${counted(counts.dead, "dead letter")}</p>`,
      find,
      selection.search === "" ? "" : matchLinks(
        site,
        name,
        selection.search,
        `All whose reason contains “${excerpt(selection.search, 80)}”`,
      ),
      card(
        "groups",
        counted(letters.length, "dead letter"),
        html`${groups.length > 0 ? groups : nothing("No dead letters.")}${older}`,
        range,
      ),
    ],
  };
}

function selectionOf(context: Context): Selection {
  const before = Math.trunc(Number(context.req.query("before")));
  return {
    before: before > 0 ? before : undefined,
    search: context.req.query("q") ?? "",
    reason: context.req.query("reason"),
  };
}

/** The dead letters of one page that match. */
async function read(
  site: Site,
  queue: string,
  { before, search, reason }: Selection,
): Promise<{ letters: DeadLetter[]; last?: number }> {
  const letters: DeadLetter[] = [];
  let count = 0;
  const wanted = search.toLowerCase();
  for await (const letter of site.stores.jobQueue(queue).deadLetters({ before })) {
    count++;
    const matches = (text: string) => text.toLowerCase().includes(wanted);
    if (
      (reason === undefined || letter.reason === reason) &&
      (matches(letter.reason) || matches(letter.id) || matches(json(letter.data)))
    ) {
      letters.push(letter);
    }
    if (count === PAGE) return { letters, last: letter.sequence };
  }
  return { letters };
}

/** The groups of a page, the largest first. */
function groupsOf(letters: readonly DeadLetter[]): Group[] {
  const groups = Map.groupBy(letters, ({ reason }) => reason);
  return [...groups].map(([reason, letters]) => ({ reason, letters })).sort((a, b) =>
    b.letters.length - a.letters.length
  );
}

function groupMarkup(
  site: Site,
  queue: string,
  { before, search }: Selection,
  { reason, letters }: Group,
  isAll: boolean,
): Markup {
  const [newest] = letters;
  const oldest = letters[letters.length - 1];
  const age = (letter: DeadLetter) => `${span(Date.now() - letter.diedAt.getTime())} ago`;
  const attempts = new Set(letters.map(({ attempts }) => attempts));
  const tried = attempts.size === 1 ? ` · ${counted(newest.attempts, "attempt")} each` : "";
  const ids = letters.slice(0, 3).map(({ id }) =>
    html`
      · <a href="${path(site, "queues", queue, "jobs", id)}">${excerpt(id, 60)}</a>
    `
  );
  const act = (what: string) => `${path(site, "queues", queue, "dead")}/${what}`;
  const parameters = { reason, q: search, before };
  const when = letters.length === 1 ? age(newest) : `last ${age(newest)} · first ${age(oldest)}`;
  return html`
    <div class="group">
      <div class="reason">${reason === "" ? "no reason" : excerpt(reason, 400)}</div>
      <div class="acts">${changeLink(
        site,
        act("redrive"),
        `Redrive ${amount(letters.length)} …`,
        "main",
        parameters,
      )}${changeLink(site, act("discard"), `Discard ${amount(letters.length)} …`, "danger", parameters)}</div>
      <div class="meta">${counted(letters.length, "job")} · ${when}${tried}${ids}${letters.length > ids.length
        ? " · …"
        : ""}</div>
      ${isAll || reason === "" ? "" : matchLinks(site, queue, reason, "All with this reason")}
    </div>
  `;
}

/** Links to what acts on all dead letters with a reason, also on those that the page does not show; none on a dashboard that is read-only. */
function matchLinks(site: Site, queue: string, reason: string, label: string): Markup | string {
  if (site.readOnly) return "";
  const link = (name: string, look: "main" | "danger" | "") =>
    changeLink(site, `${path(site, "queues", queue, "dead")}/${name.toLowerCase()}-matching`, `${name} …`, look, {
      reason,
    });
  return html`<div class="row more-acts"><span>${label}:</span>${link("Redrive", "")}${
    link("Discard", "danger")
  }</div>`;
}

/** What is done with dead letters, and how it is said. */
const CHANGES = {
  redrive: { title: "Redrive", what: "Publishes again, each under its id,", kind: "redriven", danger: false },
  discard: { title: "Discard", what: "Removes for good", kind: "discarded", danger: true },
} as const;

/** Does it with all of one page that have the reason and match the search. */
function groupChange(app: Hono, site: Site, name: keyof typeof CHANGES): void {
  const { title, what, kind, danger } = CHANGES[name];
  change(app, `/queues/:queue/dead/${name}`, site, async (context) => {
    const queue = queueOf(context);
    const selection = selectionOf(context);
    const { letters } = await read(site, queue, selection);
    if (letters.length === 0) return null;
    const label = counted(letters.length, danger ? "dead letter" : "job");
    return {
      title: `${title} ${label} of ${queue}`,
      current: "Queues",
      what: html`${what} ${label} with the reason “${excerpt(selection.reason ?? "", 300)}”${
        selection.search && ` that match “${selection.search}”`
      }.`,
      button: `${title} ${label}`,
      danger,
      fields: letters.map(({ id }) => html`<input type="hidden" name="id" value="${id}">`),
      back: path(site, "queues", queue, "dead"),
    };
  }, async (context, form) => {
    const queue = site.stores.jobQueue(queueOf(context));
    // Those that were shown and counted, not those that have come since.
    const ids = form.getAll("id").slice(0, PAGE).map(String).values();
    let count = 0;
    let confirmed = true;
    await Promise.all(Array.from({ length: TOGETHER }, async () => {
      for (const id of ids) {
        const done = name === "redrive" ? await queue.redrive(id) : await queue.discard(id);
        if (done === null) confirmed = false;
        count += Number(done);
      }
    }));
    return confirmed || count > 0 ? { kind, count } : null;
  });
}

function oneChange(app: Hono, site: Site, name: keyof typeof CHANGES): void {
  const { title, what, kind, danger } = CHANGES[name];
  change(app, `/queues/:queue/jobs/:id/${name}`, site, async (context) => {
    const [queue, id] = [queueOf(context), idOf(context)];
    const letter = await site.stores.jobQueue(queue).deadLetter(id);
    return letter && {
      title: `${title} ${id}`,
      current: "Queues",
      what: html`${what} 1 ${danger ? "dead letter" : "job"}: “${excerpt(letter.reason, 300)}”.`,
      button: `${title} 1 ${danger ? "dead letter" : "job"}`,
      danger,
      back: path(site, "queues", queue, "dead"),
    };
  }, async (context) => {
    const queue = site.stores.jobQueue(queueOf(context));
    const done = name === "redrive" ? await queue.redrive(idOf(context)) : await queue.discard(idOf(context));
    return done === null ? null : { kind, count: Number(done) };
  });
}
