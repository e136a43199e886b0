import { variable } from "../environment.ts";

/** Puts a text into a colour, or leaves it as it is. */
export type Paint = (text: string) => string;

/** The few colours that the commands use; each is the text itself where colours are off. */
export interface Colours {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
  cyan: Paint;
}

/** The colours, on or off. */
export function colours(on: boolean): Colours {
  const paint = (start: number, end: number): Paint => (text) =>
    on && text !== "" ? `\x1b[${start}m${text}\x1b[${end}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/** Whether a stream gets colours: a terminal that can, unless `NO_COLOR` is set. */
export function wantsColours(stream: { isTerminal(): boolean }): boolean {
  return stream.isTerminal() && !Deno.noColor && variable("TERM") !== "dumb";
}
