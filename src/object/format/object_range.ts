import { checkWhole, wrong } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";

/**
 * Which bytes of an object are read, as `slice` counts them.
 *
 * @category Buckets
 */
export interface ObjectRange {
  /**
   * The first byte, counted from 0. From the object's end on there are none.
   *
   * @default {0}
   */
  start?: number;
  /**
   * The byte before which it ends.
   *
   * @default {the object's end}
   */
  end?: number;
}

const RANGE: OptionNames<ObjectRange> = { start: true, end: true };

/**
 * A range, checked.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkRange(given: ObjectRange | null | undefined, doing: string): ObjectRange {
  const range = checkOptions(given, RANGE, doing);
  const { start, end } = range;
  if (start !== undefined) checkWhole(start, doing, "start", 0);
  if (end !== undefined) checkWhole(end, doing, "end", 0);
  if (end !== undefined && end < (start ?? 0)) {
    throw wrong(RangeError, `${doing} as 'end' must be ≥ 'start', ${start}`, end);
  }
  return range;
}
