import type { Broken, Result, Row } from "./_comparison.ts";
import type { Environment } from "./_environment.ts";

/** What was measured, as plain text. */
export function environmentText(environment: Environment): string {
  const width = Math.max(...Object.keys(environment).map((name) => name.length));
  return Object.entries(environment).map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

/** The table of one measure. */
export function resultText({ part, title, unit, rows }: Result): string {
  const lines = rows.map((row) => [
    row.note === undefined ? row.peer : `${row.peer} (${row.note})`,
    figure(row.median),
    row.p99 === undefined ? "" : `p99 ${figure(row.p99)}`,
    row.lowest === row.highest ? "" : `${figure(row.lowest)} – ${figure(row.highest)}`,
    row.ratio === undefined ? "" : `${ratio(row.ratio)} ×`,
    row.floor === undefined ? "" : verdict(row),
  ]);
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((cells) => cells[column].length))) ?? [];
  const body = lines.map((cells) =>
    "  " +
    cells.map((cell, column) =>
      column === 0 || column === 5 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
    )
      .filter((_, column) => widths[column] > 0).join("   ").trimEnd()
  );
  return [`${part}: ${title} [${unit}]`, ...body].join("\n");
}

/** How this library stands to each floor, and what broke. */
export function summaryText(results: Result[], broken: Broken[]): string {
  const floors = results.flatMap(({ title, rows }) =>
    rows.filter((row) => row.floor !== undefined && row.ratio !== undefined).map((row) => ({ title, row }))
  );
  const lines = floors.map(({ title, row }) =>
    `  ${isMet(row) ? "met  " : "BELOW"}  ${
      ratio(row.ratio!)
    } × of at least ${row.floor} ×: ${title}, against ${row.peer}`
  );
  const met = floors.filter(({ row }) => isMet(row)).length;
  return [
    `Floors: ${met} of ${floors.length} met`,
    ...lines,
    ...broken.length === 0 ? ["Every measurement came to its end with right results."] : [
      `${broken.length} measurements broke:`,
      ...broken.map(({ title, peer, reason }) => `  ${title}: ${peer}: ${reason}`),
    ],
  ].join("\n");
}

function verdict(row: Row): string {
  return `≥ ${row.floor} × ${isMet(row) ? "met" : "BELOW"}`;
}

function isMet({ ratio = 0, floor = 0 }: Row): boolean {
  return ratio >= floor;
}

function ratio(value: number): string {
  return value >= 20 ? value.toFixed(0) : value >= 2 ? value.toFixed(1) : value.toFixed(2);
}

function figure(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
