import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { jsonText } from "../../../src/queue/format/json_text.ts";

const text = (value: unknown) => jsonText(value, "publish the job", "data");

class Mail {
  to = "ann";
  #secret = 1;
  send = undefined;
  get secret() {
    return this.#secret;
  }
}

const withToJson = { toJSON: () => ({ a: 1 }) };

for (
  const [value, json] of [
    [null, "null"],
    ["", '""'],
    [-0, "0"],
    [{ a: undefined, b: [1, { c: null }] }, '{"b":[1,{"c":null}]}'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [new URL("http://a/"), '"http://a/"'],
    [new Mail(), '{"to":"ann"}'],
    [withToJson, '{"a":1}'],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    [Object.create({ inherited: () => {} }, { own: { value: 1, enumerable: true } }), '{"own":1}'],
    [[new Number(1), new String("a"), new Boolean(false)], '[1,"a",false]'],
    [{ [Symbol("ignored")]: 1, a: 1 }, '{"a":1}'],
  ] as [unknown, string][]
) Deno.test(`jsonText writes ${json}`, () => assertEquals(text(value), json));

const cyclic: Record<string, unknown> = { list: [1] };
(cyclic.list as unknown[]).push({ back: cyclic });
const shared = { a: 1 };
const fail = () => {
  throw new Error("a raw error");
};

for (
  const [value, path, is] of [
    [undefined, "data", "of type undefined"],
    [1n, "data", "of type bigint"],
    [() => {}, "data", "of type function"],
    [{ items: [1, 2, 3, 4n] }, "data.items[3]", "of type bigint"],
    [{ a: { b: () => {} } }, "data.a.b", "of type function"],
    [[Symbol("s")], "data[0]", "of type symbol"],
    [[1, undefined], "data[1]", "of type undefined"],
    [{ list: [1, , 3] }, "data.list[1]", "of type undefined"],
    [{ rate: NaN }, "data.rate", "NaN"],
    [[-Infinity], "data[0]", "-Infinity"],
    [{ users: new Map() }, "data.users", "an object of class Map"],
    [new Set(), "data", "an object of class Set"],
    [{ bytes: new Uint8Array(2) }, "data.bytes", "an object of class Uint8Array"],
    [{ error: new Error("lost") }, "data.error", "an object of class Error"],
    [{ at: new Date(NaN) }, "data.at", "Invalid Date"],
    [{ later: Promise.resolve() }, "data.later", "an object of class Promise"],
    [cyclic, "data.list[1].back", "a circular reference"],
    [{ "a b": { "c.d": 1n } }, 'data["a b"]["c.d"]', "of type bigint"],
    [{ "x\r\n\x1b[31m": 1n }, 'data["x\\r\\n\\u001b[31m"]', "of type bigint"],
    [{ a: { toJSON: fail } }, "data.a", "an object that cannot be read"],
    [Object.defineProperty({ a: 1 }, "b", { get: fail, enumerable: true }), "data.b", "a property that cannot be read"],
    [new Proxy({}, { ownKeys: fail }), "data", "an object that cannot be read"],
  ] as [unknown, string, string][]
) {
  Deno.test(`jsonText refuses ${path} that is ${is}`, () => {
    const { message } = assertThrows(() => text(value), TypeError);
    assertEquals(message, `Cannot publish the job as '${path}' must be a JSON value: current value is ${is}`);
  });
}

Deno.test("jsonText takes an object that stands in two places, and refuses data that is nested too deeply", () => {
  assertEquals(text([shared, shared, { shared }]), '[{"a":1},{"a":1},{"shared":{"a":1}}]');
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  assertThrows(() => text(deep), TypeError, "must be a JSON value");
});

Deno.test("jsonText gives what JSON.parse reads back, or throws one TypeError of its own", () => {
  fc.assert(
    fc.property(fc.anything({ withDate: true, withBigInt: true, withMap: true, withTypedArray: true }), (value) => {
      let json;
      try {
        json = text(value);
      } catch (error) {
        assertEquals((error as Error).message.startsWith("Cannot publish the job as 'data"), true, String(error));
        return;
      }
      assertEquals(JSON.stringify(JSON.parse(json)), json);
    }),
    { numRuns: 2_000 },
  );
});
