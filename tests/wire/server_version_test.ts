import { assertEquals, assertThrows } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import { ServerVersion } from "../../src/wire/server_version.ts";

Deno.test("ServerVersion.atLeast compares numbers, not texts", () => {
  for (
    const [version, other, atLeast] of [
      ["2.15.1", "2.9", true],
      ["2.9.0", "2.10", false],
      ["2.10.0", "2.10", true],
      ["3.0.0", "2.99", true],
      ["1.99.0", "2.0", false],
      ["2.14.0-RC.1", "2.14", true],
      ["nonsense", "2.0", false],
    ] as const
  ) assertEquals(new ServerVersion(version).atLeast(other), atLeast, `${version} ${other}`);
});

Deno.test("ServerVersion.require throws 'unsupported' with both versions", () => {
  const version = new ServerVersion("2.10.3");
  version.require("2.10", "This");
  const error = assertThrows(() => version.require("2.11", "This"), JetStreamStoreError);
  assertEquals([error.code, error.message], [
    "unsupported",
    "This needs nats-server 2.11 or newer: this server has 2.10.3",
  ]);
});
