import { checkText, encodeToken } from "../wire/tokens.ts";

/**
 * The subject tokens of a filter over keys: its tokens `*` (any one token) and, at the end, `>` (one or more tokens) stay as they are, all others are
 * encoded as those of a key.
 *
 * @throws {TypeError} If it is no well-formed string, or empty.
 * @throws {RangeError} If `>` is not at the end.
 */
export function encodeFilter(filter: string, doing: string): string {
  checkText(filter, doing, "filter");
  const tokens = filter.split(".");
  return tokens.map((token, i) => {
    if (token === "*") return token;
    if (token !== ">") return encodeToken(token);
    if (i === tokens.length - 1) return token;
    throw new RangeError(
      `Cannot ${doing} as 'filter' must have '>' at its end only: current value is ${JSON.stringify(filter)}`,
    );
  }).join(".");
}
