import { Buffer } from "node:buffer";
import { wrong, wrongType } from "../checks.ts";

/** Bytes a subject may have: a longer one could outgrow the server's control line, which costs the whole connection. */
const MAX_SUBJECT = 3_000;

const PLAIN_TOKEN = /^[-/_A-Za-z0-9][-/_=A-Za-z0-9]*$/;
const PLAIN_KEY = /^[-/_A-Za-z0-9][-/_=A-Za-z0-9]*(?:\.[-/_A-Za-z0-9][-/_=A-Za-z0-9]*)*$/;
const FOREIGN_TOKEN = /^=[-/_=A-Za-z0-9]*$/;
// Neither empty nor a wildcard, and without what ends a subject.
const SUBJECT_TOKEN = /^(?![*>]$)[^\s\0-\x20\x7f]+$/;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * One token of a subject for any text: itself where it is made of `[-/_=A-Za-z0-9]` only, is not empty and does not begin with `=`; else `=` and
 * the unpadded base64url of its UTF-8 bytes. Reversible, and no text can bring in a wildcard or a further token.
 */
export function encodeToken(text: string): string {
  return PLAIN_TOKEN.test(text) ? text : `=${Buffer.from(text).toString("base64url")}`;
}

/** The text of a token, or `undefined` if {@linkcode encodeToken} does not make this token. */
export function decodeToken(token: string): string | undefined {
  if (!token.startsWith("=")) return token;
  const text = Buffer.from(token.slice(1), "base64url").toString("utf8");
  return encodeToken(text) === token ? text : undefined;
}

/**
 * The subject tokens of a key: each token between dots by {@linkcode encodeToken}, except those of other clients that begin with `=` and are nothing
 * that is made so: they stay as they are, as they are listed.
 */
export function encodeKey(key: string): string {
  return PLAIN_KEY.test(key) ? key : key.split(".").map(encodeKeyToken).join(".");
}

/** The key of subject tokens; tokens that are not ours stay as they are. */
export function decodeKey(tokens: string): string {
  if (!tokens.includes("=")) return tokens;
  // A key is not empty, though its tokens may be.
  return tokens.split(".").map((token) => textOf(token) ?? token).join(".") || tokens;
}

/** One token of {@linkcode encodeKey}. */
export function encodeKeyToken(text: string): string {
  return FOREIGN_TOKEN.test(text) && textOf(text) === undefined ? text : encodeToken(text);
}

/** Whether a key of another client may stand in subjects as it is, and is not encoded to that: ADR-8 does not allow its characters. */
export function isForeignKey(key: string): boolean {
  return Buffer.byteLength(key) <= MAX_SUBJECT && encodeKey(key) !== key &&
    key.split(".").every((token) => SUBJECT_TOKEN.test(token));
}

/** The text that {@linkcode encodeKeyToken} makes a token that begins with `=` of; `undefined` if there is none. */
function textOf(token: string): string | undefined {
  if (!token.startsWith("=")) return undefined;
  const text = Buffer.from(token.slice(1), "base64url").toString("utf8");
  return encodeKeyToken(text) === token ? text : undefined;
}

/** Padded base64url of UTF-8, as ADR-20 spells object names. */
export function encodeObjectName(name: string): string {
  const text = Buffer.from(name).toString("base64url");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/**
 * Checks the length of a subject that was made from a user's text.
 *
 * @throws {RangeError} If the server would not take it.
 */
export function checkSubject(subject: string, doing: string, what: string): string {
  // All subjects of this library are ASCII, so characters are bytes.
  if (subject.length <= MAX_SUBJECT) return subject;
  throw new RangeError(
    `Cannot ${doing} as '${what}' must fit a subject of ${MAX_SUBJECT} bytes: current value makes one of ${subject.length}`,
  );
}

/** Whether a bucket or a queue can have this name. */
export function isName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Checks the name of a bucket or a queue.
 *
 * @throws {TypeError} If it is no string.
 * @throws {RangeError} If it is not `[A-Za-z0-9_-]{1,64}`.
 */
export function checkName(name: unknown, what: "bucket" | "queue"): asserts name is string {
  if (typeof name !== "string") throw wrongType(`open the ${what} as its name must be a string`, name);
  if (!NAME.test(name)) {
    throw wrong(RangeError, `open the ${what} as its name must be 1 to 64 of A-Z a-z 0-9 _ -`, name);
  }
}

/** Whether a subject matches a filter, in which `*` stands for one token and `>` at the end for one or more. */
export function matchesSubject(filter: string, subject: string): boolean {
  const [wanted, tokens] = [filter.split("."), subject.split(".")];
  const open = wanted.at(-1) === ">";
  if (open ? tokens.length < wanted.length : tokens.length !== wanted.length) return false;
  return wanted.every((token, i) => token === "*" || (open && i === wanted.length - 1) || token === tokens[i]);
}
