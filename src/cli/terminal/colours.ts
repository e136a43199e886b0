import { printableLines } from "../../shown.ts";
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

/** Stands for the escape character in a painted text. It is random, so stored data cannot paint. */
const MARK = `\0${crypto.randomUUID()}`;

/** The colours, on or off; a painted text becomes what a terminal takes by {@linkcode terminalText}. */
export function colours(on: boolean): Colours {
  const paint = (start: number, end: number): Paint => (text) =>
    on && text !== "" ? `${MARK}[${start}m${text}${MARK}[${end}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/**
 * A text, painted or not, as it is written to a terminal: its colours, and all that stored data may have put in escaped. Ends of lines and tabs stay.
 *
 * @param raw Whether data is written as it is.
 */
export function terminalText(text: string, raw: boolean): string {
  const clean = raw ? String : printableLines;
  return text.split(MARK).map((part, i) => {
    const colour = i === 0 ? "" : /^\[\d+m/.exec(part)![0];
    return `${colour && "\x1b"}${colour}${clean(part.slice(colour.length))}`;
  }).join("");
}

/** Whether a stream gets colours: a terminal that can, unless `NO_COLOR` is set. */
export function wantsColours(stream: { isTerminal(): boolean }): boolean {
  return stream.isTerminal() && !Deno.noColor && variable("TERM") !== "dumb";
}
