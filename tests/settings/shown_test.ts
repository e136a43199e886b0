import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { messageOf, printable, shown, shownName } from "../../src/shown.ts";

const cyclic: unknown[] = [];
cyclic.push(cyclic);
const { proxy: revoked, revoke } = Proxy.revocable([], {});
revoke();
const fail = () => {
  throw new Error("a second error");
};

for (
  const [value, text] of [
    ["a", '"a"'],
    ["", '""'],
    ['a"\\', '"a\\"\\\\"'],
    ["a\r\nb", '"a\\r\\nb"'],
    ["\x1b]0;x\x07\x9b31m\u202e\u2066\ufeff", '"\\u001b]0;x\\u0007\\u009b31m\\u202e\\u2066\\ufeff"'],
    ["\ud800", '"\\ud800"'],
    ["ü😀", '"ü😀"'],
    [5, "5"],
    [-0, "-0"],
    [NaN, "NaN"],
    [-Infinity, "-Infinity"],
    [5n, "5n"],
    [1n << 100_000_000n, "a large bigint"],
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    [Symbol("a\nb"), "Symbol(a\\u000ab)"],
    [Symbol(), "Symbol()"],
    [() => "source", "a function"],
    [{ secret: 1 }, "an object"],
    [{ toString: fail, toJSON: fail, [Symbol.toPrimitive]: fail }, "an object"],
    [Object.create(null), "an object"],
    [new Proxy({}, { get: fail, getPrototypeOf: fail, has: fail }), "an object"],
    [revoked, "an object"],
    [Object.create(Date.prototype), "an object"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [new Date(NaN), "Invalid Date"],
    [["a", 1, [2, ["b"]]], '["a",1,[2,["b"]]]'],
    [[undefined, null, fail], "[undefined,null,a function]"],
    [Array(4_294_967_295), "[undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefine…"],
    [cyclic, "[[[[…]]]]"],
    [Object.defineProperty([0], "0", { get: fail }), "an object"],
  ] as [unknown, string][]
) Deno.test(`shown writes ${text}`, () => assertEquals(shown(value), text));

Deno.test("shown cuts a long text and tells its length", () => {
  assertEquals(shown("x".repeat(78)), `"${"x".repeat(78)}"`);
  assertEquals(shown("x".repeat(1_000_000)), `"${"x".repeat(54)}…" (1000000 characters)`);
  assertEquals(shown("\n".repeat(70)), `"${"\\n".repeat(27)}…" (70 characters)`);
});

Deno.test("shown, shownName and printable give nothing that a terminal obeys, on one line, within 80 characters", () => {
  const values = fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.anything());
  fc.assert(fc.property(values, (value) => {
    const text = shown(value);
    assertEquals(/[\p{C}\p{Zl}\p{Zp}]/u.test(text), false, text);
    assertEquals(text.length <= 80, true, text);
  }));
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (name) => {
    assertEquals(/[\p{C}\p{Zl}\p{Zp}]/u.test(printable(name) + shownName(name)), false, name);
    assertEquals(shownName(name).length <= 80, true, name);
  }));
});

Deno.test("messageOf reads whatever was thrown, and never throws", () => {
  const hostile = new Error("secret");
  Object.defineProperty(hostile, "message", { get: fail });
  const thrown = [new Error("no room"), new TypeError(), "a text", 5, undefined, null, hostile, revoked];
  assertEquals(thrown.map(messageOf), [
    ...["no room", "TypeError", "a text", "5", "undefined", "null", "[object Error]"],
    "an error whose message cannot be read",
  ]);
});
