import { assert, assertEquals, assertStrictEquals } from "@std/assert";

/** What a test of Vitest gets, as far as Keyv's suite uses it. */
type Body = (context: { expect: Expect }) => void | Promise<void>;

type Expect = ReturnType<typeof newExpect>;

/** Takes the place of Vitest where a suite registers its tests, and runs them as steps of one test. */
export class CollectedSuite {
  readonly #cases: { name: string; body: Body }[] = [];
  readonly #before: (() => Promise<void>)[] = [];
  readonly #after: (() => Promise<void>)[] = [];

  /** Names of the tests. */
  get names(): string[] {
    return this.#cases.map(({ name }) => name);
  }

  readonly it = (name: string, body: Body): void => void this.#cases.push({ name, body });
  readonly beforeEach = (hook: () => Promise<void>): void => void this.#before.push(hook);
  readonly afterEach = (hook: () => Promise<void>): void => void this.#after.push(hook);

  /** Runs all tests, but those that `skipped` names with a reason. */
  async run(test: Deno.TestContext, skipped: Record<string, string> = {}): Promise<void> {
    for (const { name, body } of this.#cases) {
      const reason = skipped[name];
      await test.step({
        name: reason ? `${name} (skipped: ${reason})` : name,
        ignore: reason !== undefined,
        fn: () => this.#runOne(body),
      });
    }
  }

  async #runOne(body: Body): Promise<void> {
    for (const hook of this.#before) await hook();
    const made = { count: 0, expected: undefined as number | undefined };
    try {
      await body({ expect: newExpect(made) });
    } finally {
      for (const hook of this.#after) await hook();
    }
    assertEquals(made.count, made.expected ?? made.count);
  }
}

function newExpect(made: { count: number; expected: number | undefined }) {
  const expect = (actual: unknown) => {
    made.count++;
    return {
      toBe: (expected: unknown) => assertStrictEquals(actual, expected),
      toEqual: (expected: unknown) => assertEquals(actual, expected),
      toBeNull: () => assertStrictEquals(actual, null),
      toBeUndefined: () => assertStrictEquals(actual, undefined),
      toBeDefined: () => assert(actual !== undefined),
      toBeTruthy: () => assert(actual),
      toBeFalsy: () => assert(!actual),
    };
  };
  expect.assertions = (count: number) => void (made.expected = count);
  return expect;
}
