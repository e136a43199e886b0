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
  some.connection();
  some.connection();
  some.replicas();
  some.replicas();
  assertEquals(asked.length, new Set(asked).size);
});

Deno.test("Settings.connection gives the ways in, and undefined for what is unset or empty", () => {
  const { settings: some } = settings({
    SUPERCHECK_NATS_URL: " nats://a, b:1 ,,",
    SUPERCHECK_NATS_CREDS: "/c",
    SUPERCHECK_NATS_TOKEN: "",
    SUPERCHECK_NATS_TLS_CA: "/ca",
  });
  assertEquals(some.connection(), {
    servers: ["nats://a", "b:1"],
    creds: "/c",
    token: undefined,
    user: undefined,
    password: undefined,
    nkeySeed: undefined,
    tlsCa: "/ca",
    tlsCert: undefined,
    tlsKey: undefined,
  });
  for (const url of [undefined, "", " ", ",", " , "]) {
    const { settings: none } = settings(url === undefined ? {} : { SUPERCHECK_NATS_URL: url });
    assertEquals(none.connection().servers, undefined);
  }
});

Deno.test("Settings.kvTtl is a day, Settings.replicas 1, when they are unset", () => {
  const { settings: none } = settings({});
  assertEquals([none.kvTtl(), none.replicas()], [86_400_000, 1]);
});

for (const value of ["0", "-1", "1.5", "1e3", "0x10", "30s", "abc", "NaN", "4000000001", "9".repeat(400)]) {
  Deno.test(`Settings.kvTtl throws for ${value.slice(0, 12)}, naming the variable, the value and the rule`, () => {
    const { settings: some } = settings({ SUPERCHECK_NATS_KV_TTL_SECS: value });
    assertThrows(
      () => some.kvTtl(),
      RangeError,
      `Cannot use SUPERCHECK_NATS_KV_TTL_SECS as it must be a whole number from 1 to 4000000000: current value is "${value}"`,
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
