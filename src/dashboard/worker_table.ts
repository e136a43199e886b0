import { html } from "hono/html";
import type { WorkerInfo } from "../queue/format/worker_info.ts";
import { amount, counted, excerpt, moment, span } from "./figures.ts";
import { card, type Markup, nothing, table } from "./page.ts";
import type { SeenWorkers } from "./worker_monitor.ts";

/** Workers that are shown at most. */
const SHOWN = 100;

/** The workers of a queue: who works, since when, and how busy each is. */
export function workerCard({ workers, failure }: SeenWorkers): Markup {
  if (workers === null) {
    const text = failure ? `The workers cannot be asked: ${excerpt(failure.message, 300)}` : "Asking the workers …";
    return card("workers", "Workers", nothing(text));
  }
  const sum = (pick: (worker: WorkerInfo) => number) => workers.reduce((total, worker) => total + pick(worker), 0);
  const busy = `${amount(sum(({ active }) => active))} of ${
    amount(sum(({ concurrency }) => concurrency))
  } places taken`;
  const shown = [...workers].sort((a, b) =>
    Number(b.state === "impaired") - Number(a.state === "impaired") || b.active - a.active
  ).slice(0, SHOWN);
  const rest = workers.length > SHOWN ? ` · the first ${SHOWN}` : "";
  const content = workers.length > 0 ? workerTable(shown) : nothing("No worker has answered.");
  return card("workers", counted(workers.length, "worker"), content, workers.length > 0 ? `${busy}${rest}` : "");
}

function workerTable(workers: readonly WorkerInfo[]): Markup {
  const rows = workers.map((worker) => {
    const { name, address, pid, since, state, reason, concurrency, active, prefetched, completed, failed } = worker;
    const look = state === "impaired" ? "bad" : state === "serving" ? "" : "warn";
    const serves = [...worker.priorities, ...worker.keyed ? ["keyed"] : []];
    return html`
      <tr>
        <td class="long">${excerpt([name, address].filter(Boolean).join(" · ") || "unnamed", 120)} · ${pid}</td>
        <td class="text"><span class="pill ${look}">${state}</span>${reason === null
          ? ""
          : ` ${excerpt(reason, 160)}`}</td>
        <td class="n">${amount(active)} of ${amount(concurrency)}</td>
        <td class="n wide">${amount(prefetched)}</td>
        <td class="n wide">${amount(completed)}</td>
        <td class="n wide${failed > 0 ? " warn" : ""}">${amount(failed)}</td>
        <td class="text wide">${serves.length === 4 ? "all" : serves.join(", ")}</td>
        <td class="n" title="${moment(since)}">${span(Date.now() - since.getTime())}</td>
      </tr>
    `;
  });
  return table("Workers", [
    ["Worker, process"],
    ["State", "text"],
    ["Busy"],
    ["Fetched", "wide"],
    ["Completed", "wide"],
    ["Failed", "wide"],
    ["Serves", "text wide"],
    ["Since"],
  ], rows);
}
