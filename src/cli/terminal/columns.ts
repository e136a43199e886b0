import type { Paint } from "./colours.ts";
import { pad, width } from "./text.ts";

/**
 * Lines with a margin whose texts stand one below the other; the last text of a line may have any length.
 *
 * @param maxWidth Columns of the terminal: where a line would have more, all last texts stand on lines of their own.
 */
export function columns(
  lines: readonly (readonly string[])[],
  paints: readonly (Paint | undefined)[] = [],
  maxWidth: number = Infinity,
): string[] {
  const places = Math.max(...lines.map((line) => line.length - 1));
  const widths = Array.from({ length: places }, (_, i) => Math.max(...lines.map((line) => width(line[i] ?? ""))));
  const margin = widths.reduce((sum, width) => sum + width + 2, 2);
  const breaks = lines.some((line) => margin + width(line[places] ?? "") > maxWidth);
  return lines.flatMap((line) => {
    const painted = line.map((text, i) => (paints[i] ?? String)(pad(text, widths[i] ?? 0)));
    const rest = breaks ? painted.splice(places).map((text) => `      ${text}`) : [];
    return [`  ${painted.join("  ")}`.trimEnd(), ...rest];
  });
}
