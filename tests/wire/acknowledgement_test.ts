import { assertEquals, assertThrows } from "@std/assert";
import { isAcknowledgement, parseAcknowledgement } from "../../src/wire/acknowledgement.ts";

const PARTS = {
  stream: "WQ_a",
  consumer: "high",
  deliveries: 2,
  sequence: 7,
  delivery: 3,
  storedAt: "1790000000000000001",
  pending: 5,
};
const TAIL = "WQ_a.high.2.7.3.1790000000000000001.5";

for (
  const [format, subject] of [
    ["of the former format", `$JS.ACK.${TAIL}`],
    ["with a domain and the hash of an account", `$JS.ACK.hub.Ab12Cd34.${TAIL}`],
    ["with no domain and the hash of an account", `$JS.ACK._.Ab12Cd34.${TAIL}`],
    ["of the new format with more tokens at its end", `$JS.ACK._.Ab12Cd34.${TAIL}.x.y`],
  ]
) {
  Deno.test(`parseAcknowledgement parses a subject ${format}`, () => {
    assertEquals(parseAcknowledgement(subject), PARTS);
    assertEquals(isAcknowledgement(subject), true);
  });
}

Deno.test("parseAcknowledgement refuses a subject with too few tokens, whatever it has parsed before", () => {
  parseAcknowledgement(`$JS.ACK.${TAIL}`);
  const short = ["", "WQ_a.high", "WQ_a.high.2.7.3.1790000000000000001", "hub.WQ_a.high.2.7.3.1790000000000000001.5"];
  for (const subject of short.map((tail) => `$JS.ACK.${tail}`)) {
    assertThrows(() => parseAcknowledgement(subject), Error, "too few tokens");
  }
});

Deno.test("parseAcknowledgement gives NaN for what is no number", () => {
  const { deliveries, sequence } = parseAcknowledgement("$JS.ACK.WQ_a.high.2a.-7.3.1790000000000000001.5");
  assertEquals([deliveries, sequence], [NaN, NaN]);
});

Deno.test("isAcknowledgement is false for other subjects", () => {
  for (const subject of [undefined, "", "_INBOX.a", "$JS.ACK", "$JS.FC.a.b.c", "x.$JS.ACK.a"]) {
    assertEquals(isAcknowledgement(subject), false);
  }
});
