import { assert, assertEquals } from "@std/assert";
import { checkTable } from "../../src/cli/demo/check_table.ts";
import { nextSteps, type Shown, sources } from "../../src/cli/demo/demo_report.ts";
import { colours } from "../../src/cli/terminal/colours.ts";
import { fitMiddle, width } from "../../src/cli/terminal/text.ts";

const plain = colours(false);

const row = (name: string, tlsExpires: string | null) => ({
  url: `http://127.0.0.1:35953/${name}`,
  phase: "done" as const,
  result: {
    url: "",
    state: "down" as const,
    status: null,
    statusText: "",
    latency: 1234,
    error: "no answer within 1000 ms",
    body: '{"status":"down","reason":"no database"}',
    tlsExpires,
    attempt: 2,
    checkedAt: "",
  },
  stored: false,
  counters: { checks: 10, up: 0 },
});

Deno.test("checkTable fits a terminal of 60 columns and more, with the beginning and the end of each URL", () => {
  for (const expires of [null, new Date(Date.now() + 50 * 86_400_000).toISOString()]) {
    for (let columns = 60; columns <= 200; columns++) {
      const lines = checkTable([row("flapping", expires), row("silent", expires)], plain, columns);
      for (const line of lines) assert(width(line) <= columns, `${columns}: ${line}`);
      assert(/^http.*flapping /.test(lines[1]) && /^http.*silent /.test(lines[2]), lines.join("\n"));
      assert(["STATE", "ANSWER", "UP", "STORED"].every((title) => lines[0].includes(title)), lines[0]);
    }
  }
});

Deno.test("checkTable leaves the body and the attempts out before it cuts URLs, and cuts URLs before it leaves the certificate out", () => {
  const titles = (columns: number, expires: string | null) =>
    checkTable([row("flapping", expires)], plain, columns)[0].split(/ {2,}/);
  assertEquals(titles(200, null), ["URL", "STATE", "ANSWER", "LATENCY", "TRIES", "UP", "STORED", "BODY"]);
  assertEquals(titles(85, null), ["URL", "STATE", "ANSWER", "LATENCY", "UP", "STORED"]);
  const expires = new Date(Date.now() + 50 * 86_400_000).toISOString();
  assertEquals(titles(85, expires), ["URL", "STATE", "ANSWER", "LATENCY", "CERTIFICATE", "UP", "STORED"]);
  assertEquals(titles(67, expires), ["URL", "STATE", "ANSWER", "LATENCY", "UP", "STORED"]);
});

Deno.test("sources and nextSteps of the demo fit a terminal of 60 columns", () => {
  const totals = { queued: 5, retried: 3 } as Shown["totals"];
  const shown: Shown = {
    round: 1,
    checked: [],
    totals,
    queue: "demo_a1b2",
    nats: null,
    isPrivate: true,
    isLocal: true,
  };
  for (const lines of [sources(shown, plain, 60), nextSteps(shown, false, plain, 60)]) {
    for (const line of lines) assert(width(line.trimEnd()) <= 60, line);
  }
});

Deno.test("fitMiddle cuts the middle of a text, to the column", () => {
  assertEquals(fitMiddle("abcdefghij", 10), "abcdefghij");
  assertEquals(fitMiddle("abcdefghij", 7), "abc…hij");
  for (let columns = 1; columns <= 12; columns++) {
    assert(width(fitMiddle("日本語のテキスト", columns)) <= columns);
    assertEquals(width(fitMiddle("abcdefghijkl", columns)), columns);
  }
});
