import type { Colours } from "../terminal/colours.ts";
import { type Column, table } from "../terminal/table.ts";
import { fitMiddle, oneLine } from "../terminal/text.ts";
import type { CheckResult } from "./check_url.ts";
import type { CheckedUrl, Step } from "./health_checks.ts";

/** One line of the table: what the last round left, and what is going on. */
export interface CheckRow extends Partial<Omit<CheckedUrl, "url">> {
  url: string;
  phase: Step["phase"];
}

const DAY_MS = 86_400_000;
const PHASES: Record<Step["phase"], string> = {
  queued: "queued",
  fetching: "asking",
  "failed once": "again",
  done: "",
};

/** The lines of the table of checks. */
export function checkTable(rows: CheckRow[], colours: Colours, maxWidth: number): string[] {
  const { dim, green, red, yellow, cyan } = colours;
  const ofResult = (title: string, cell: (result: CheckResult, row: CheckRow) => string) => ({
    title,
    cell: (row: CheckRow) => row.result ? cell(row.result, row) : "",
  });
  const columns: Column<CheckRow>[] = [
    { title: "URL", cell: ({ url }) => oneLine(url), shrinkTo: 32, least: 16, cut: fitMiddle },
    {
      title: "STATE",
      cell: stateText,
      paint: (text, { phase, result }) => (phase !== "done" ? cyan : result?.state === "up" ? green : red)(text),
    },
    {
      ...ofResult("ANSWER", (result) => oneLine(result.error ?? `${result.status} ${result.statusText}`)),
      paint: (text, { result }) => result?.state === "down" ? red(text) : text,
      shrinkTo: 16,
      least: 12,
    },
    { ...ofResult("LATENCY", ({ latency }) => latencyText(latency)), align: "right", mayGo: "last" },
    {
      ...ofResult("CERTIFICATE", ({ tlsExpires }) => tlsExpires === null ? "" : daysLeft(tlsExpires)),
      paint: (text, { result }) => paintDays(result?.tlsExpires ?? null, { yellow, red })(text),
      mayGo: "last",
    },
    { ...ofResult("TRIES", ({ attempt }) => String(attempt)), align: "right", mayGo: true },
    ofResult("UP", (_, { counters }) => counters ? `${counters.up} of ${counters.checks}` : "–"),
    { ...ofResult("STORED", (_, { stored }) => stored === false ? "no" : ""), paint: yellow },
    { ...ofResult("BODY", ({ body }) => oneLine(body)), paint: dim, shrinkTo: 16, mayGo: true },
  ];
  return table(columns, rows, { maxWidth, paintTitle: dim });
}

function stateText({ phase, result }: CheckRow): string {
  if (!result) return PHASES[phase];
  const sign = phase !== "done" ? "↻" : result.state === "up" ? "●" : "✗";
  return `${sign} ${result.state}`;
}

function latencyText(milliseconds: number | null): string {
  if (milliseconds === null) return "–";
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

function daysLeft(expires: string): string {
  const days = Math.floor((Date.parse(expires) - Date.now()) / DAY_MS);
  return days < 0 ? `expired ${-days} d ago` : `${days} days left`;
}

function paintDays(expires: string | null, { yellow, red }: Pick<Colours, "yellow" | "red">): (text: string) => string {
  const days = expires === null ? Infinity : (Date.parse(expires) - Date.now()) / DAY_MS;
  return days < 0 ? red : days < 21 ? yellow : (text) => text;
}
