import type { Context, Hono } from "hono";
import { html } from "hono/html";
import type { JobInfo } from "../queue/store/find_job.ts";
import { ask } from "./ask.ts";
import { type Change, change, type Done } from "./confirm.ts";
import { moment } from "./figures.ts";
import { idOf, json } from "./job_text.ts";
import { parseData, queueOf } from "./queue_changes.ts";
import { path, type Site } from "./site.ts";

/** What can be done with a job that is in its queue: cancel, promote, move to another moment, change its data. */
export function jobChanges(app: Hono, site: Site): void {
  cancelChange(app, site);
  jobChange(app, site, "promote", "promoted", (id, { runAt }) => ({
    title: `Run ${id} now`,
    what: `Runs 1 job as soon as a worker is free${runAt ? `, not only at ${moment(runAt)}` : ""}.`,
    button: "Promote 1 job",
  }), (queue, id) => queue.promote(id));
  jobChange(app, site, "reschedule", "rescheduled", (id, { state, runAt }) => ({
    title: `Reschedule ${id}`,
    what: `Moves 1 job that is ${state === "ready" ? "waiting" : state}${runAt ? ` until ${moment(runAt)}` : ""}.`,
    button: "Reschedule 1 job",
    fields:
      html`<label><span>Seconds from now</span><input name="seconds" type="number" min="0" step="any" required></label>`,
  }), (queue, id, form) => queue.reschedule(id, { delay: secondsOf(form) }));
  jobChange(app, site, "update", "updated", (id, { data }) => ({
    title: `Change the data of ${id}`,
    what: "Changes the data of 1 job; its attempts, priority and headers stay.",
    button: "Change 1 job",
    fields: html`<label><span>Data, as JSON</span><textarea name="data" rows="10" required>${
      json(data, 2)
    }</textarea></label>`,
  }), (queue, id, form) => queue.update(id, parseData(String(form.get("data")))));
}

function cancelChange(app: Hono, site: Site): void {
  change(app, "/queues/:queue/jobs/:id/cancel", site, async (context) => {
    const [queue, id] = [queueOf(context), idOf(context)];
    const job = await ask(site.stores, () => site.stores.jobQueue(queue).get(id));
    return job && {
      title: `Cancel ${id}`,
      current: "Queues",
      what: `Removes 1 job that is ${job.state === "ready" ? "waiting" : job.state}. ${
        job.state === "active" ? "The signal of its handler aborts." : ""
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

/** A change of a job that waits or is delayed; an active one cannot be changed any more. */
function jobChange(
  app: Hono,
  site: Site,
  name: string,
  kind: NonNullable<Done>["kind"],
  asked: (id: string, job: JobInfo) => Pick<Change, "title" | "what" | "button" | "fields">,
  make: (queue: ReturnType<Site["stores"]["jobQueue"]>, id: string, form: FormData) => Promise<boolean | null>,
): void {
  change(app, `/queues/:queue/jobs/:id/${name}`, site, async (context: Context) => {
    const [queue, id] = [queueOf(context), idOf(context)];
    const job = await ask(site.stores, () => site.stores.jobQueue(queue).get(id));
    if (!job || job.state === "active") return null;
    return { ...asked(id, job), current: "Queues", back: path(site, "queues", queue, "jobs", id) };
  }, async (context, form) => {
    const done = await make(site.stores.jobQueue(queueOf(context)), idOf(context), form);
    return done === null ? null : { kind, count: Number(done) };
  });
}

function secondsOf(form: FormData): number {
  const seconds = Number(form.get("seconds"));
  if (!(seconds >= 0)) throw new RangeError("Cannot reschedule the job as the seconds must be a number from 0");
  return Math.round(seconds * 1000);
}
