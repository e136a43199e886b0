import { assertEquals } from "@std/assert";
import * as jetstream from "../../mod.ts";
import { FUNCTIONS, INSTANCE, partsOf } from "../_support/calls.ts";

/** Names of the methods of a handle, those that its class inherits included. */
function methods(handle: object): string[] {
  const names = new Set<string>();
  for (let at = Object.getPrototypeOf(handle); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && name !== "constructor") names.add(name);
    }
  }
  return [...names].sort();
}

const isClass = (value: unknown) => /^class /.test(String(value));

Deno.test("the conformance tests have a call for every function of mod.ts", () => {
  const names = Object.entries(jetstream).filter(([, value]) => !isClass(value)).map(([name]) => name);
  assertEquals(Object.keys(FUNCTIONS).sort(), names.sort());
});

for (const { name, calls, target } of partsOf(jetstream).slice(1)) {
  Deno.test(`the conformance tests have a call for every method of ${name}`, () => {
    assertEquals(Object.keys(calls).sort(), methods(target(jetstream)));
  });
}

Deno.test("the conformance tests have a call for every method of JetStreamStores, and every function of mod.ts is one", () => {
  const own = methods(new jetstream.JetStreamStores({ env: () => undefined }));
  assertEquals(Object.keys({ ...FUNCTIONS, ...INSTANCE }).sort(), own);
});
