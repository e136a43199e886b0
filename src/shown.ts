/**
 * Values and texts in messages: on one line, short, and without characters that a terminal or a log reader obeys.
 * @module
 */

/** Characters of a value that a message shows at most. */
const MAX_SHOWN = 80;

/** Characters that a whole message has at most: what it quotes may be of any length. */
const MAX_MESSAGE = 2_000;

/** Characters that a text of others has in a line at most. */
const MAX_IN_LINE = 300;

/** Elements of an array that a message shows at most. */
const MAX_ELEMENTS = 8;

/** Larger numbers are not written out: that takes time by the square of their length. */
const MAX_BIGINT = 10n ** 40n;

/** Control, format, private, unassigned and surrogate characters, and line separators. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** A text with each unprintable character as `\u….` */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** A text of several lines with each unprintable character but ends of lines and tabs as `\u….` */
export function printableLines(text: string): string {
  return text.replaceAll("\r\n", "\n").split(/([\n\t])/).map((part, i) => i % 2 === 1 ? part : printable(part)).join(
    "",
  );
}

/** A message for a log or an error that quotes what others wrote: printable, and of bounded length. */
export function shownMessage(text: string): string {
  const whole = printable(text.slice(0, MAX_MESSAGE));
  return whole.length < MAX_MESSAGE ? whole : cut(whole, MAX_MESSAGE - 1);
}

/** What others wrote, as the message of an error: of several lines if it has them, else as {@linkcode shownMessage}. */
export function shownReason(text: string): string {
  const whole = printableLines(text.slice(0, MAX_MESSAGE));
  return whole.length < MAX_MESSAGE ? whole : cut(whole, MAX_MESSAGE - 1);
}

/** A text of others as a part of a line: without what would break the line or a terminal, and not too long. */
export function inLine(text: string): string {
  const line = text.slice(0, 4 * MAX_IN_LINE).replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return line.length > MAX_IN_LINE || text.length > 4 * MAX_IN_LINE ? `${line.slice(0, MAX_IN_LINE)}…` : line;
}

/**
 * A value as a message shows it: on one line, at most 80 characters, whatever the value does when it is read. Of an object only its class.
 */
export function shown(value: unknown): string {
  try {
    return shortened(Array.isArray(value) ? shownElements(value, 0) : shownScalar(value));
  } catch {
    // A revoked proxy, or a getter that throws.
    return "an object";
  }
}

/** The message of any thrown value. Never throws. */
export function messageOf(thrown: unknown): string {
  return guarded(() => String(thrown instanceof Error ? thrown.message || thrown.name : thrown)) ??
    guarded(() => Object.prototype.toString.call(thrown)) ?? "an error whose message cannot be read";
}

/** What is read of a value that may throw when it is read; then `undefined`. */
export function guarded<R>(read: () => R): R | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** A name, a key or an id as a message shows it between quotes: as {@linkcode shown} shows texts. */
export function shownName(name: string): string {
  return shortened(printable(name.slice(0, 2 * MAX_SHOWN)), name.length);
}

function shownElements(values: readonly unknown[], depth: number): string {
  if (depth > 2) return "[…]";
  const elements = Array.from({ length: Math.min(values.length, MAX_ELEMENTS) }, (_, i) => {
    const value = values[i];
    return Array.isArray(value) ? shownElements(value, depth + 1) : shownScalar(value);
  });
  return `[${elements.join(",")}${values.length > MAX_ELEMENTS ? ",…" : ""}]`;
}

function shownScalar(value: unknown): string {
  switch (typeof value) {
    case "string":
      return shownText(value);
    case "bigint":
      return value < MAX_BIGINT && value > -MAX_BIGINT ? `${value}n` : "a large bigint";
    case "symbol":
      return `Symbol(${shownName(value.description ?? "")})`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : value instanceof Date ? shownDate(value) : shownClass(value);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

function shownText(text: string): string {
  const room = MAX_SHOWN - 2;
  const json = JSON.stringify(text.slice(0, room)).slice(1, -1);
  const whole = printable(json);
  return text.length <= room && whole.length <= room
    ? `"${whole}"`
    : `"${cut(whole, room - 24)}" (${text.length} characters)`;
}

function shownClass(value: object): string {
  const name = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return name === "Object" ? "an object" : `an object of class ${shownName(name)}`;
}

function shownDate(date: Date): string {
  return Number.isNaN(date.getTime()) ? "Invalid Date" : date.toISOString();
}

function shortened(text: string, length: number = text.length): string {
  return text.length <= MAX_SHOWN && length <= MAX_SHOWN ? text : cut(text, MAX_SHOWN - 1);
}

/** The beginning of a text that is printable, which leaves no surrogate alone. */
function cut(text: string, length: number): string {
  const end = /[\ud800-\udbff]$/.test(text.slice(0, length)) ? length - 1 : length;
  return `${text.slice(0, end)}…`;
}

function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
  ).join("");
}
