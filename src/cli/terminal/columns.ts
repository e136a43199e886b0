import type { Paint } from "./colours.ts";
import { pad, width } from "./text.ts";

/** Lines with a margin whose texts stand one below the other; the last text of a line may have any length. */
export function columns(lines: readonly (readonly string[])[], paints: readonly (Paint | undefined)[] = []): string[] {
  const places = Math.max(...lines.map((line) => line.length - 1));
  const widths = Array.from({ length: places }, (_, i) => Math.max(...lines.map((line) => width(line[i] ?? ""))));
  return lines.map((line) =>
    `  ${line.map((text, i) => (paints[i] ?? String)(pad(text, widths[i] ?? 0))).join("  ")}`.trimEnd()
  );
}
