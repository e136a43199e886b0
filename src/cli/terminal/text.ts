/** Characters that move the cursor, change colours or reverse the direction, and those that cannot be seen. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const WIDE =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\uFF01-\uFF60]/u;
const MARK = /\p{M}/u;

/** A foreign text on one line, with nothing in it that a terminal obeys. */
export function oneLine(text: string): string {
  return text.replace(/\s+/gu, " ").replace(UNSAFE, "\uFFFD").trim();
}

/** How many columns of a terminal a text without colours takes. */
export function width(text: string): number {
  let columns = 0;
  for (const character of text) columns += MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return columns;
}

/** A text of at most so many columns; what is too long ends with `…`. */
export function fit(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = "";
  let left = columns - 1;
  for (const character of text) {
    left -= width(character);
    if (left < 0) break;
    kept += character;
  }
  return columns < 1 ? "" : `${kept}…`;
}

/** A text of at most so many columns; what is too long has `…` in its middle, so that beginning and end are seen. */
export function fitMiddle(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  const characters = [...text];
  const end: string[] = [];
  let left = Math.floor((columns - 1) * 0.6);
  for (const character of characters.toReversed()) {
    left -= width(character);
    if (left < 0) break;
    end.unshift(character);
  }
  const tail = end.join("");
  return fit(text, columns - width(tail)) + tail;
}

/** A text filled up with spaces to so many columns. */
export function pad(text: string, columns: number, align: "left" | "right" = "left"): string {
  const spaces = " ".repeat(Math.max(0, columns - width(text)));
  return align === "left" ? text + spaces : spaces + text;
}

/** `1 job`, `2 jobs`. */
export function count(amount: number, one: string, many: string = `${one}s`): string {
  return `${amount} ${amount === 1 ? one : many}`;
}

/** Which of several things: `job "17"`, or `2 jobs`. */
export function named(one: string, names: string[]): string {
  return names.length === 1 ? `${one} ${JSON.stringify(names[0])}` : count(names.length, one);
}

/** A size for people: `512 B`, `1.5 MiB`. */
export function bytes(size: number): string {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, size)) / 10)));
  if (power === 0) return `${size} B`;
  return `${(size / 1_024 ** power).toFixed(1)} ${["KiB", "MiB", "GiB", "TiB"][power - 1]}`;
}

/** A duration for people, in its two largest units: `250 ms`, `1.5 s`, `2 m 5 s`, `3 d 4 h`. */
export function span(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1_000;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const units = [[Math.floor(seconds / 86_400), "d"], [Math.floor(seconds / 3_600) % 24, "h"], [
    Math.floor(seconds / 60) % 60,
    "m",
  ], [Math.floor(seconds) % 60, "s"]] as const;
  const first = units.findIndex(([amount]) => amount > 0);
  return units.slice(first, first + 2).filter(([amount]) => amount > 0).map((unit) => unit.join(" ")).join(" ");
}

/** A moment by the user's clock: `2030-01-31 18:00:00`. */
export function localTime(date: Date): string {
  return date.toLocaleString("sv-SE");
}
