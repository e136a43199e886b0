import { assertEquals, assertThrows } from "@std/assert";
import { Settings } from "../../src/settings.ts";

/** Settings over some variables, and the names that were looked up. */
function settings(variables: Record<string, string>): { settings: Settings; asked: string[] } {
  const asked: string[] = [];
  const read = (name: string) => {
    asked.push(name);
    return variables[name];
  };
  return { settings: new Settings(read), asked };
}

Deno.test("Settings looks nothing up before it is asked, and each variable once", () => {
  const { settings: some, asked } = settings({ SUPERCHECK_NATS_KV_TTL_SECS: "60" });
  assertEquals(asked, []);
  assertEquals([some.kvTtl(), some.kvTtl()], [60_000, 60_000]);
  assertEquals(asked, ["SUPERCHECK_NATS_KV_TTL_SECS"]);
  assertEquals([some.text("SUPERCHECK_NATS_URL"), some.text("SUPERCHECK_NATS_URL")], [undefined, undefined]);
  some.replicas();
  some.replicas();
  assertEquals(asked.length, new Set(asked).size);
});

Deno.test("Settings.text gives a variable, and undefined for one that is unset or empty", () => {
  const { settings: some } = settings({ SUPERCHECK_NATS_CREDS: "/c", SUPERCHECK_NATS_TOKEN: "" });
  const names = ["SUPERCHECK_NATS_CREDS", "SUPERCHECK_NATS_TOKEN", "SUPERCHECK_NATS_USER"];
  assertEquals(names.map((name) => some.text(name)), ["/c", undefined, undefined]);
});

Deno.test("Settings.kvTtl is a day, Settings.replicas 1, Settings.maxBytes nothing, when they are unset", () => {
  const { settings: none } = settings({});
  assertEquals([none.kvTtl(), none.replicas(), none.maxBytes()], [86_400_000, 1, undefined]);
});

for (const value of ["0", "-1", "5MB", "1e6"]) {
  Deno.test(`Settings.maxBytes throws for ${value}`, () => {
    const { settings: some } = settings({ SUPERCHECK_NATS_MAX_BYTES: value });
    assertThrows(
      () => some.maxBytes(),
      RangeError,
      "Cannot use SUPERCHECK_NATS_MAX_BYTES as it must be a whole number",
    );
  });
}

for (const value of ["0", "-1", "1.5", "1e3", "0x10", "30s", "abc", "NaN", "4000000001", "9".repeat(400)]) {
  Deno.test(`Settings.kvTtl throws for ${value.slice(0, 12)}, naming the variable, the value and the rule`, () => {
    const { settings: some } = settings({ SUPERCHECK_NATS_KV_TTL_SECS: value });
    assertThrows(
      () => some.kvTtl(),
      RangeError,
      `Cannot use SUPERCHECK_NATS_KV_TTL_SECS as it must be a whole number from 1 to 4000000000: current value is "${
        value.slice(0, 54)
      }`,
    );
  });
}

for (const value of ["0", "6", "3.0", "three"]) {
  Deno.test(`Settings.replicas throws for ${value}`, () => {
    const { settings: some } = settings({ SUPERCHECK_NATS_REPLICAS: value });
    assertThrows(
      () => some.replicas(),
      RangeError,
      `Cannot use SUPERCHECK_NATS_REPLICAS as it must be a whole number from 1 to 5: current value is "${value}"`,
    );
  });
}
