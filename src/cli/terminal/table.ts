import { fit, pad, width } from "./text.ts";

/** One column of a {@linkcode table}. */
export interface Column<Row> {
  title: string;
  /** The text of a cell, without colours. A column whose cells are all empty is left out. */
  cell(row: Row): string;
  /** Colours a cell that has its final width. */
  paint?(text: string, row: Row): string;
  align?: "left" | "right";
  /** How narrow it may become where the table is too wide; the last such column gives way first. */
  shrinkTo?: number;
  /** How narrow it may become where that, and leaving columns out, is not enough. */
  least?: number;
  /**
   * Cuts a text that is too long.
   * @default the end is cut off
   */
  cut?(text: string, columns: number): string;
  /** Whether it may be left out where that is not enough; the last such column goes first. `"last"`: only where `least` is not enough either. */
  mayGo?: boolean | "last";
}

/** How a {@linkcode table} is set. */
export interface TableOptions {
  /** Columns of the terminal; `Infinity` where it is none. */
  maxWidth: number;
  paintTitle: (text: string) => string;
}

interface Measured<Row> extends Column<Row> {
  texts: string[];
  width: number;
}

const GAP = "  ";

/** The lines of a table. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { maxWidth, paintTitle }: TableOptions,
): string[] {
  const measured = columns.map((column): Measured<Row> => {
    const texts = rows.map((row) => column.cell(row));
    return { ...column, texts, width: Math.max(...[column.title, ...texts].map(width)) };
  });
  const used = fitted(measured.filter(({ texts }) => texts.some((text) => text !== "")), maxWidth);
  const set = (text: string, { width, align, cut = fit }: Measured<Row>) => pad(cut(text, width), width, align);
  return [
    used.map((column) => paintTitle(set(column.title, { ...column, cut: fit }))),
    ...rows.map((row, i) =>
      used.map((column) => {
        const text = set(column.texts[i], column);
        return column.paint?.(text, row) ?? text;
      })
    ),
  ].map((cells) => cells.join(GAP).trimEnd());
}

function fitted<Row>(columns: Measured<Row>[], maxWidth: number): Measured<Row>[] {
  const narrowed = shrunk(columns, maxWidth, ({ shrinkTo }) => shrinkTo);
  if (widthOf(narrowed) <= maxWidth) return narrowed;
  const first = columns.findLastIndex(({ mayGo }) => mayGo === true);
  if (first >= 0) return fitted(columns.toSpliced(first, 1), maxWidth);
  const least = shrunk(columns, maxWidth, ({ shrinkTo, least = shrinkTo }) => least);
  const last = columns.findLastIndex(({ mayGo }) => mayGo === "last");
  return widthOf(least) > maxWidth && last >= 0 ? fitted(columns.toSpliced(last, 1), maxWidth) : least;
}

function widthOf(columns: Measured<unknown>[]): number {
  return columns.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length);
}

/** The columns, as much narrower as is needed, from the last one on, and as `to` allows. */
function shrunk<Row>(
  columns: Measured<Row>[],
  maxWidth: number,
  to: (column: Measured<Row>) => number | undefined,
): Measured<Row>[] {
  let excess = widthOf(columns) - maxWidth;
  return columns.toReversed().map((column) => {
    const less = Math.max(0, Math.min(excess, column.width - (to(column) ?? column.width)));
    excess -= less;
    return { ...column, width: column.width - less };
  }).reverse();
}
