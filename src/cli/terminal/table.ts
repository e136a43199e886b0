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
  /** Whether it may be left out where that is not enough; the last such column goes first. */
  mayGo?: boolean;
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
  const set = (text: string, { width, align }: Measured<Row>) => pad(fit(text, width), width, align);
  return [
    used.map((column) => paintTitle(set(column.title, column))),
    ...rows.map((row, i) =>
      used.map((column) => {
        const text = set(column.texts[i], column);
        return column.paint?.(text, row) ?? text;
      })
    ),
  ].map((cells) => cells.join(GAP).trimEnd());
}

function fitted<Row>(columns: Measured<Row>[], maxWidth: number): Measured<Row>[] {
  let excess = columns.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length) - maxWidth;
  const narrowed = columns.toReversed().map((column) => {
    const less = Math.max(0, Math.min(excess, column.width - (column.shrinkTo ?? column.width)));
    excess -= less;
    return { ...column, width: column.width - less };
  }).reverse();
  const last = columns.findLastIndex(({ mayGo }) => mayGo);
  return excess > 0 && last >= 0 ? fitted(columns.toSpliced(last, 1), maxWidth) : narrowed;
}
