import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { checkOptions, type OptionNames } from "../../src/options.ts";

interface Options {
  maxAttempts?: number;
  rateLimit?: number;
  priority?: string;
  id?: string;
  data?: unknown;
  every?: number;
}

const KNOWN: OptionNames<Options> = {
  maxAttempts: true,
  rateLimit: true,
  priority: true,
  id: true,
  data: "null",
  every: true,
};

const check = (options: unknown) => checkOptions(options as Options, KNOWN, "do it");

for (
  const [name, nearest] of [
    ["attempts", "maxAttempts"],
    ["maxattempts", "maxAttempts"],
    ["max_attempts", "maxAttempts"],
    ["attempt", "maxAttempts"],
    ["limit", "rateLimit"],
    ["ratelimit", "rateLimit"],
    ["priorty", "priority"],
    ["pirority", "priority"],
    ["jobId", "id"],
    ["ID", "id"],
  ]
) {
  Deno.test(`checkOptions names '${nearest}' for the unknown option '${name}'`, () => {
    const error = assertThrows(() => check({ [name]: 1 }), TypeError);
    assertEquals(error.message, `Cannot do it as there is no option '${name}': did you mean '${nearest}'?`);
  });
}

Deno.test("checkOptions names all options for an unknown one that is near none", () => {
  const error = assertThrows(() => check({ endDate: 1 }), TypeError);
  assertEquals(
    error.message,
    "Cannot do it as there is no option 'endDate': " +
      "the options are 'maxAttempts', 'rateLimit', 'priority', 'id', 'data', 'every'",
  );
});

Deno.test("checkOptions refuses names of Object.prototype and names with control characters, and shows them escaped and short", () => {
  for (const name of ["toString", "constructor", "hasOwnProperty", "__proto__"]) {
    const options = Object.defineProperty({}, name, { value: 1, enumerable: true });
    assertThrows(() => check(options), TypeError, `there is no option '${name}'`);
  }
  const { message } = assertThrows(() => check({ ["a\r\n\x1b[31m" + "b".repeat(1_000_000)]: 1 }), TypeError);
  assertEquals(message.includes("'a\\u000d\\u000a\\u001b[31mbbb"), true, message);
  assertEquals(message.length < 300, true, String(message.length));
});

Deno.test("checkOptions takes null and undefined for options that are not given, unless null is a value", () => {
  assertEquals(check(null), {});
  assertEquals(check(undefined), {});
  assertEquals(check({ id: null, priority: undefined, every: 5, data: null }), { every: 5, data: null });
  assertEquals(check({ attempts: undefined, limit: null, every: 5 }).every, 5);
});

Deno.test("checkOptions ignores symbols and what an object inherits", () => {
  class Given {
    every = 5;
    attempts(): void {}
    get id() {
      return "a";
    }
  }
  assertEquals(check({ [Symbol("attempts")]: 1, every: 5 }).every, 5);
  const { every, id } = check(new Given());
  assertEquals([every, id], [5, "a"]);
  assertEquals(check(Object.create({ attempts: 1, every: 5 })).every, 5);
  assertEquals(check(Object.assign(Object.create(null), { every: 5 })).every, 5);
});

Deno.test("checkOptions returns the same object where nothing is null", () => {
  const options = { every: 5 };
  assertStrictEquals(check(options), options);
});

for (
  const options of [
    5,
    "high",
    true,
    5n,
    Symbol("s"),
    () => {},
    [],
    new Map(),
    new Date(),
    AbortSignal.abort(),
    Promise.resolve({}),
    new Uint8Array(1),
  ]
) {
  Deno.test(`checkOptions refuses ${Deno.inspect(options)} in the place of options`, () => {
    assertThrows(
      () => check(options),
      TypeError,
      "Cannot do it as its options must be an object: current value is of type",
    );
  });
}
