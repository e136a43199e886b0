import { checkIterable } from "../checks.ts";

/**
 * The subjects of one or several filters; one that another has already is left out, as the server takes none that overlap.
 *
 * @param subjectOf Gives the subject of a filter.
 * @throws {TypeError | RangeError} If there is no filter, or `subjectOf` throws it.
 */
export function disjointSubjects(
  filter: string | readonly string[],
  doing: string,
  subjectOf: (filter: string) => string,
): string | string[] {
  if (typeof filter === "string") return subjectOf(filter);
  const subjects = [...new Set(checkIterable(filter, doing, "filter").map(subjectOf))];
  if (subjects.length === 0) {
    throw new RangeError(`Cannot ${doing} as 'filter' must have at least one filter: it is empty`);
  }
  const others = subjects.filter((subject) => !subjects.some((other) => other !== subject && covers(other, subject)));
  return others.length === 1 ? others[0] : others;
}

/** Whether all subjects of one filter are subjects of another. */
function covers(filter: string, part: string): boolean {
  const [wanted, tokens] = [filter.split("."), part.split(".")];
  for (const [i, token] of wanted.entries()) {
    if (token === ">") return tokens.length > i;
    if (tokens[i] === undefined || tokens[i] === ">") return false;
    if (token !== "*" && token !== tokens[i]) return false;
  }
  return wanted.length === tokens.length;
}
