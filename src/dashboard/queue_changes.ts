import type { Context, Hono } from "hono";
import { html } from "hono/html";
import { wrong } from "../checks.ts";
import { checkStartRate } from "../queue/format/start_rate.ts";
import { change } from "./confirm.ts";
import { counted } from "./figures.ts";
import type { Markup } from "./page.ts";
import { waiting } from "./queue_monitor.ts";
import { path, type Site } from "./site.ts";

/** Names of the priorities, the most urgent first. */
export const PRIORITIES = ["high", "normal", "low"] as const;

/** The queue that a path names. */
export function queueOf(context: Context): string {
  return context.req.param("queue") ?? "";
}

/** What can be done with a queue: pause and resume it, limit and publish its jobs, run a schedule now. */
export function queueChanges(app: Hono, site: Site): void {
  pauseChanges(app, site);
  limitChange(app, site);
  publishChange(app, site);
  runChange(app, site);
}

function pauseChanges(app: Hono, site: Site): void {
  change(app, "/queues/:queue/pause", site, async (context) => {
    const queue = queueOf(context);
    const { counts } = await site.monitor.one(queue);
    if (!counts) return null;
    return {
      title: `Pause ${queue}`,
      current: "Queues",
      what: `Workers start no more jobs: ${counted(waiting(counts), "job")} will wait. The ${
        counted(counts.active, "job")
      } that are active continue.`,
      button: `Pause ${queue}`,
      fields:
        html`<label><span>Minutes; empty: until it is resumed</span><input name="minutes" type="number" min="1" max="525600"></label>`,
      back: path(site, "queues", queue),
    };
  }, async (context, form) => {
    const minutes = numberOf(form, "minutes", "pause the queue");
    if (minutes !== null && minutes <= 0) {
      throw wrong(RangeError, "pause the queue as 'minutes' must be > 0, or empty", minutes);
    }
    const until = minutes === null ? undefined : new Date(Date.now() + minutes * 60_000);
    return await site.stores.jobQueue(queueOf(context)).pause(until) && { kind: "paused", count: 1 };
  });
  change(app, "/queues/:queue/resume", site, async (context) => {
    const queue = queueOf(context);
    const { counts } = await site.monitor.one(queue);
    return counts && {
      title: `Resume ${queue}`,
      current: "Queues",
      what: `Workers start jobs again: ${counted(waiting(counts), "job")} wait.`,
      button: `Resume ${queue}`,
      back: path(site, "queues", queue),
    };
  }, async (context) => await site.stores.jobQueue(queueOf(context)).resume() && { kind: "resumed", count: 1 });
}

function limitChange(app: Hono, site: Site): void {
  change(app, "/queues/:queue/limit", site, async (context) => {
    const queue = queueOf(context);
    const { counts } = await site.monitor.one(queue);
    return counts && {
      title: `Limit the jobs of ${queue}`,
      current: "Queues",
      what: `How many jobs may be active at the same time, and start within an interval, over all workers. ${
        counted(counts.active, "job")
      } are active now.`,
      button: "Set the limits",
      fields: [
        ...PRIORITIES.map((priority) => limitField(priority, `Active, ${priority}`, counts.limits[priority])),
        limitField("jobs", "Starts within the interval", counts.rateLimit?.jobs ?? null),
        limitField("seconds", "The interval in seconds", (counts.rateLimit?.interval ?? 1000) / 1000, "0.01"),
      ],
      back: path(site, "queues", queue),
    };
  }, async (context, form) => {
    const queue = site.stores.jobQueue(queueOf(context));
    const doing = "limit the jobs";
    const limits = Object.fromEntries(PRIORITIES.map((priority) => [priority, numberOf(form, priority, doing)]));
    const [jobs, seconds] = [numberOf(form, "jobs", doing), numberOf(form, "seconds", doing)];
    const rate = jobs === null ? null : { jobs, interval: Math.round((seconds ?? 0) * 1000) };
    // A rate that is refused must not leave the other limits changed.
    if (rate) checkStartRate(rate, doing);
    const { counts } = await site.monitor.one(queue.name);
    const changesRate = JSON.stringify(rate) !== JSON.stringify(counts?.rateLimit ?? null);
    const done = await queue.limitActive(limits) && (!changesRate || await queue.limitRate(rate));
    return done && { kind: "limited", count: 1 };
  });
}

function limitField(name: string, label: string, value: number | null, step: string = "1"): Markup {
  return html`<label><span>${label}; empty: no limit</span><input name="${name}" type="number" min="${step}" step="${step}" value="${
    value ?? ""
  }"></label>`;
}

function publishChange(app: Hono, site: Site): void {
  change(app, "/queues/:queue/publish", site, async (context) => {
    const queue = queueOf(context);
    const { counts } = await site.monitor.one(queue);
    const priority = context.req.query("priority") ?? "normal";
    const options = PRIORITIES.map((each) =>
      html`<option${
        each === priority
          ? html`
            selected
          `
          : ""
      }>${each}</option>`
    );
    return counts && {
      title: `Publish to ${queue}`,
      current: "Queues",
      what: "Publishes 1 job.",
      button: "Publish 1 job",
      fields: html`<label><span>Data, as JSON</span><textarea name="data" rows="6" required>${
        context.req.query("data") ?? "{}"
      }</textarea></label>
<label><span>Id; empty: one is made</span><input name="id"></label><label><span>Priority</span><select name="priority">${options}</select></label>`,
      back: path(site, "queues", queue),
    };
  }, async (context, form) => {
    const data = parseData(String(form.get("data")));
    const priority = PRIORITIES.find((each) => each === form.get("priority"));
    const id = String(form.get("id") ?? "");
    const receipt = await site.stores.jobQueue(queueOf(context)).publish(data, { priority, ...(id !== "" && { id }) });
    return receipt && { kind: "published", count: receipt.duplicate ? 0 : 1 };
  });
}

function runChange(app: Hono, site: Site): void {
  const idOf = (context: Context) => context.req.param("id") ?? "";
  change(app, "/queues/:queue/schedules/:id/run", site, async (context) => {
    const queue = queueOf(context);
    const { counts } = await site.monitor.one(queue);
    return counts && {
      title: `Run ${idOf(context)} now`,
      current: "Queues",
      what: "Publishes 1 job of this schedule, beside those that it makes by itself.",
      button: "Publish 1 job",
      back: path(site, "queues", queue),
    };
  }, async (context) => {
    const receipt = await site.stores.jobQueue(queueOf(context)).runNow(idOf(context));
    return receipt && { kind: "published", count: 1 };
  });
}

/**
 * A number from a form; `null`: the field is empty.
 *
 * @throws {RangeError} If the field is missing or holds anything else.
 */
function numberOf(form: FormData, field: string, doing: string): number | null {
  const text = form.get(field);
  if (text === "") return null;
  const number = typeof text === "string" && text.trim() !== "" ? Number(text) : NaN;
  if (Number.isFinite(number)) return number;
  throw wrong(RangeError, `${doing} as '${field}' must be a number, or empty`, text);
}

/**
 * Data from a form.
 *
 * @throws {TypeError} If it is no JSON.
 */
export function parseData(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TypeError("Cannot publish the job as its data must be JSON", { cause });
  }
}
