import type { Hono } from "hono";
import { html } from "hono/html";
import { settledWithin } from "../delay.ts";
import type { MatchCounts } from "../queue/manage/act_on_matches.ts";
import { ask } from "./ask.ts";
import { change, type Done } from "./confirm.ts";
import { amount, counted, excerpt } from "./figures.ts";
import { queueOf } from "./queue_changes.ts";
import { path, type Site } from "./site.ts";

/** Milliseconds that the page which asks counts: of more it says "at least". */
const COUNT_MS = 150;

/** Milliseconds that a browser waits for the end of a change; the change continues after the answer. */
const ANSWER_MS = 5_000;

/** What is done with all that match, and how it is said. */
const CHANGES = {
  redrive: { title: "Redrive", what: "Publishes again, each under its id,", danger: false },
  discard: { title: "Discard", what: "Removes for good", danger: true },
} as const;

/** Redrives or discards all dead letters whose reason contains a text, however many there are. */
export function deadLetterMatches(app: Hono, site: Site): void {
  matchChange(app, site, "redrive");
  matchChange(app, site, "discard");
}

function matchChange(app: Hono, site: Site, name: keyof typeof CHANGES): void {
  const { title, what, danger } = CHANGES[name];
  change(app, `/queues/:queue/dead/${name}-matching`, site, async (context) => {
    const queue = queueOf(context);
    const reason = context.req.query("reason") ?? "";
    const signal = AbortSignal.timeout(COUNT_MS);
    const counts = reason === ""
      ? null
      : await ask(site.stores, () => site.stores.jobQueue(queue)[name]({ reason }, { dryRun: true, signal }));
    if (!counts || (counts.matched === 0 && !signal.aborted)) return null;
    const many = manyOf(counts.matched, signal.aborted);
    return {
      title: `${title} ${many} of ${queue}`,
      current: "Queues",
      what: html`${what} all dead letters whose reason contains “${excerpt(reason, 300)}”: ${many}.`,
      button: signal.aborted ? `${title} all that match` : `${title} ${amount(counts.matched)}`,
      danger,
      fields: html`<input type="hidden" name="reason" value="${reason}">`,
      back: path(site, "queues", queue, "dead"),
    };
  }, async (context, form) => await act(site, queueOf(context), name, String(form.get("reason") ?? "")));
}

function manyOf(matched: number, isCut: boolean): string {
  if (isCut && matched === 0) return "an unknown number of dead letters";
  return `${isCut ? "at least " : ""}${counted(matched, "dead letter")}`;
}

/** Acts on all that match; what takes long continues after the answer. */
async function act(site: Site, queue: string, name: keyof typeof CHANGES, reason: string): Promise<Done> {
  let soFar: MatchCounts = { matched: 0, done: 0 };
  const progress = (counts: MatchCounts) => soFar = counts;
  const acting = site.stores.jobQueue(queue)[name]({ reason }, { progress });
  const kind = name === "redrive" ? "redriven" : "discarded";
  if (await settledWithin(acting, ANSWER_MS)) {
    const counts = await acting;
    return counts && { kind, count: counts.done };
  }
  acting.then((counts) => {
    if (!counts) site.logger.warn(`The dashboard's ${name} in queue ${queue} broke off after ${soFar.done}`);
  }, (error) => site.logger.warn(`The dashboard's ${name} in queue ${queue} failed after ${soFar.done}: ${error}`));
  return { kind: `${kind}SoFar`, count: soFar.done };
}
