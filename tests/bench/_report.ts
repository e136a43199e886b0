import type { Broken, Result, Row } from "./_comparison.ts";
import type { Environment } from "./_environment.ts";

/** What was measured, as plain text. */
export function environmentText(environment: Environment): string {
  const width = Math.max(...Object.keys(environment).map((name) => name.length));
  return Object.entries(environment).map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

/** The table of one measure. */
export function resultText(result: Result): string {
  const { part, title, unit, columns, rows } = result;
  if (columns) return [`${part}:`, ...table(curveCells(columns, title, rows))].join("\n");
  const lines = rows.map((row) => [
    row.note === undefined ? row.peer : `${row.peer} (${row.note})`,
    figure(row.median),
    row.p99 === undefined ? "" : `p99 ${figure(row.p99)}`,
    row.lowest === row.highest ? "" : `${figure(row.lowest)} – ${figure(row.highest)}`,
    row.ratio === undefined ? "" : `${ratio(row.ratio)} ×`,
    row.floor === undefined ? "" : verdict(row),
  ]);
  return [`${part}: ${title} [${unit}]`, ...table(lines)].join("\n");
}

/** One column for each point of the curves, and how often the last figure is the first. */
function curveCells(columns: number[], what: string, rows: Row[]): string[][] {
  const line = (label: string, figures: number[], shown: (figure: number) => string) => {
    const [first, last] = [figures[0], figures[figures.length - 1]];
    return [label, ...figures.map(shown), first > 0 ? `${ratio(last / first)} ×` : ""];
  };
  return [
    line(what, columns, (count) => count.toLocaleString("en-US")),
    ...rows.map(({ peer, curve = [] }) => line(peer, curve, figure)),
  ];
}

/** The first column is aligned at the left, the others at the right; empty columns are left out. */
function table(lines: string[][]): string[] {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((cells) => cells[column].length))) ?? [];
  return lines.map((cells) =>
    "  " +
    cells.map((cell, column) => column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))
      .filter((_, column) => widths[column] > 0).join("   ").trimEnd()
  );
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
