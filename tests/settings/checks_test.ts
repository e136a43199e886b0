import { assertEquals, assertThrows } from "@std/assert";
import {
  checkDate,
  checkDuration,
  checkFunction,
  checkLabels,
  checkObject,
  checkOneOf,
  checkSecret,
  checkString,
  checkText,
  checkWhole,
  MAX_TIMER,
} from "../../src/checks.ts";

const DOING = "do it";

const FITS: [string, () => void][] = [
  ["checkText", () => checkText(" ", DOING, "it")],
  ["checkString", () => checkString("", DOING, "it")],
  ["checkLabels", () => checkLabels({ a: "", b: "x" }, DOING)],
  ["checkLabels without any", () => checkLabels(undefined, DOING)],
  ["checkSecret", () => checkSecret("s3cr3t", DOING, "it")],
  ["checkWhole at its least", () => checkWhole(1, DOING, "it", 1)],
  ["checkWhole at its most", () => checkWhole(5, DOING, "it", 1, 5)],
  ["checkDuration at its least", () => checkDuration(0, DOING, "it", 0)],
  ["checkDuration at its most", () => checkDuration(MAX_TIMER, DOING, "it", 0, MAX_TIMER)],
  ["checkOneOf", () => checkOneOf("b", DOING, "it", ["a", "b"])],
  ["checkDate", () => checkDate(new Date(0), DOING, "it")],
  ["checkFunction", () => checkFunction(() => {}, DOING, "it")],
  ["checkObject", () => checkObject({}, DOING, "it")],
];

for (const [what, check] of FITS) Deno.test(`${what} takes what fits`, check);

const WRONG: [() => void, new () => Error, string][] = [
  [() => checkText(undefined, DOING, "it"), TypeError, "'it' must be a string: current value is of type undefined"],
  [() => checkText(null, DOING, "it"), TypeError, "'it' must be a string: current value is null"],
  [() => checkText("", DOING, "it"), TypeError, `'it' must not be empty: current value is ""`],
  [() => checkText("\ud800", DOING, "it"), TypeError, `'it' must be well-formed Unicode: current value is "\\ud800"`],
  [() => checkString(5, DOING, "it"), TypeError, "'it' must be well-formed text: current value is of type number"],
  [() => checkString("\ud800", DOING, "it"), TypeError, `'it' must be well-formed text: current value is "\\ud800"`],
  [
    () => checkLabels({ a: 1 as unknown as string }, DOING),
    TypeError,
    "'metadata.a' must be well-formed text: current value is of type number",
  ],
  [() => checkSecret("", DOING, "it"), TypeError, "'it' must be a non-empty string: current value is empty"],
  [
    () => checkSecret(["s3cr3t"], DOING, "it"),
    TypeError,
    "'it' must be a non-empty string: current value is of type object",
  ],
  [() => checkWhole(0, DOING, "it", 1), RangeError, "'it' must be a whole number ≥ 1: current value is 0"],
  [
    () => checkWhole(1.5, DOING, "it", 1, 5),
    RangeError,
    "'it' must be a whole number from 1 to 5: current value is 1.5",
  ],
  [
    () => checkWhole(2 ** 53, DOING, "it", 1),
    RangeError,
    "'it' must be a whole number ≥ 1: current value is 9007199254740992",
  ],
  [
    () => checkWhole("5", DOING, "it", 1, 5),
    RangeError,
    `'it' must be a whole number from 1 to 5: current value is "5"`,
  ],
  [() => checkDuration(0, DOING, "it", 1), RangeError, "'it' must be ≥ 1 ms: current value is 0"],
  [() => checkDuration(NaN, DOING, "it", 1), RangeError, "'it' must be ≥ 1 ms: current value is NaN"],
  [
    () => checkDuration(MAX_TIMER + 1, DOING, "it", 1, MAX_TIMER),
    RangeError,
    "'it' must be ≤ 2147483647 ms: current value is 2147483648",
  ],
  [
    () => checkDuration(Infinity, DOING, "it", 1),
    RangeError,
    "'it' must be ≤ 3153600000000 ms: current value is Infinity",
  ],
  [() => checkOneOf("c", DOING, "it", ["a", "b"]), RangeError, `'it' must be one of a, b: current value is "c"`],
  [() => checkOneOf(["a"], DOING, "it", ["a", "b"]), RangeError, `'it' must be one of a, b: current value is ["a"]`],
  [() => checkDate(new Date(NaN), DOING, "it"), TypeError, "'it' must be a valid Date: current value is Invalid Date"],
  [() => checkDate("2030", DOING, "it"), TypeError, `'it' must be a valid Date: current value is "2030"`],
  [() => checkFunction(5, DOING, "it"), TypeError, "'it' must be a function: current value is of type number"],
  [() => checkObject(null, DOING, "it"), TypeError, "'it' must be an object: current value is null"],
];

for (const [check, type, message] of WRONG) {
  Deno.test(`what does not fit is a ${type.name}: ${message}`, () => {
    const error = assertThrows(check, type);
    assertEquals(error.message, `Cannot do it as ${message}`);
  });
}
