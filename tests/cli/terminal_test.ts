import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { colours, terminalText } from "../../src/cli/terminal/colours.ts";
import { printableLines } from "../../src/shown.ts";
import { lacks } from "../_support/test_from.ts";
import { hasTerminal } from "./_commands.ts";
import { startCli } from "./_cli.ts";

/** C0 but NUL, DEL, C1, marks that change the direction, line separators, the byte order mark. */
const OBEYED = [
  ...Array.from({ length: 0x1f }, (_, i) => i + 1),
  ...Array.from({ length: 0x21 }, (_, i) => i + 0x7f),
  ...[0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e],
  ...[0x2066, 0x2067, 0x2068, 0x2069, 0xfeff],
].map((code) => String.fromCharCode(code));

/** Each of them between brackets, so that the output shows where each came from. */
const NASTY = `${OBEYED.map((character) => `<${character}>`).join("")}<\x1b]0;title\x07>`;
const WITHOUT_LINES = NASTY.replace(/[\r\n\t]/g, "");

function assertSafe(printed: string, what: string): void {
  // A terminal's own end of a line is CR LF.
  const output = printed.replaceAll("\r\n", "\n");
  const at = /<[^\P{C}\n\t]|<[\p{Zl}\p{Zp}]/u.exec(output)?.index ?? output.indexOf("\x1b]");
  assertEquals(at < 0 ? null : Deno.inspect(output.slice(Math.max(0, at - 20), at + 20)), null, what);
}

Deno.test({
  name: "no command writes to a terminal what stored data would make it obey; --raw and pipes get it as it is",
  ignore: !hasTerminal || lacks("2.14"),
  fn: async () => {
    await using nats = await startCli();
    const { stores } = nats;
    await stores.storeKV(WITHOUT_LINES, NASTY);
    await stores.storeKV("value", NASTY);
    await stores.objectBucket("supercheck").put(WITHOUT_LINES, NASTY, { description: WITHOUT_LINES });
    const queue = stores.jobQueue("checks");
    const headers = { "X-Nasty": WITHOUT_LINES.trim() };
    await queue.publish({ text: NASTY }, { id: WITHOUT_LINES, maxAttempts: 1, headers });
    await queue.schedule(WITHOUT_LINES, { every: 3_600_000, data: { text: NASTY } });
    const looks = [
      ["kv", "get", "value"],
      ["kv", "get", WITHOUT_LINES, "--json"],
      ["kv", "get", `${WITHOUT_LINES}none`],
      ["kv", "ls"],
      ["kv", "ls", "--long"],
      ["kv", "ls", "--json"],
      ["object", "get", WITHOUT_LINES],
      ["object", "get", WITHOUT_LINES, "--json"],
      ["object", "ls"],
      ["object", "ls", "--names"],
      ["object", "ls", "--json"],
      ["object", "get", "-b", "none", `${WITHOUT_LINES}`],
      ["queue", "get", "checks", WITHOUT_LINES],
      ["queue", "get", "checks", WITHOUT_LINES, "--json"],
      ["queue", "get", "checks", `${WITHOUT_LINES}none`],
      ["queue", "peek", "checks"],
      ["queue", "peek", "checks", "--json"],
      ["queue", "schedules", "checks"],
      ["queue", "publish", "checks", "{}", "--id", `${WITHOUT_LINES}new`],
      ["queue", WITHOUT_LINES],
    ];
    for (const args of looks) {
      const { stdout } = await nats.cli(args, { terminal: true });
      assert(/<(\\u|\\\\u|\ufffd|\\[nrtbf])/.test(stdout), `${args}: ${Deno.inspect(stdout)}`);
      assertSafe(stdout, Deno.inspect(args));
    }

    await using events = nats.start(["queue", "events", "checks"], { terminal: true });
    await using watch = nats.start(["kv", "watch"], { terminal: true });
    await watch.until(({ stdout }) => stdout.includes("value"));
    // It says nothing when it begins to listen, so something happens until it has seen it.
    for (let n = 0; !events.stdout.includes("probe"); n++) {
      await queue.publish({ text: "" }, { id: `probe ${n}`, delay: 3_600_000 });
      await queue.cancel(`probe ${n}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await using _worker = queue.consume(() => {
      throw new Error(NASTY);
    });
    await events.until(({ stdout }) => stdout.includes("dead"));
    assertSafe(events.stdout, "events");
    assertSafe(watch.stdout, "watch");
    for (const args of [["checks"], ["checks", "--json"], ["checks", WITHOUT_LINES]]) {
      const { stdout } = await nats.cli(["queue", "dead", ...args], { terminal: true });
      assert(/<(\\u|\ufffd)/.test(stdout), Deno.inspect(stdout));
      assertSafe(stdout, `dead ${args}`);
    }

    assertStringIncludes((await nats.cli(["kv", "get", "value", "--raw"], { terminal: true })).stdout, "<\x1b>");
    assertEquals((await nats.cli(["kv", "get", "value"])).stdout, NASTY);
    assertEquals((await nats.cli(["object", "get", WITHOUT_LINES])).stdout, NASTY);
  },
});

Deno.test({
  name: "kv get and object get refuse to write to a terminal what is no text, but for --raw",
  ignore: !hasTerminal,
  fn: async () => {
    await using nats = await startCli();
    const bytes = Uint8Array.of(60, 0xff, 0xfe, 62);
    await nats.stores.kvBucket("supercheck_kv").put("bytes", bytes);
    await nats.stores.objectBucket("supercheck").put("bytes", bytes);
    for (const kind of ["kv", "object"]) {
      const refused = await nats.cli([kind, "get", "bytes"], { terminal: true });
      assertEquals(refused.code, 2);
      assertMatch(refused.stdout, /is no text: redirect the output, or use --raw/);
      assert(!refused.stdout.includes("\ufffd"), refused.stdout);
      const raw = await nats.cli([kind, "get", "bytes", "--raw"], { terminal: true });
      assertEquals([raw.code, raw.stdout], [0, "<\ufffd\ufffd>"]);
    }
    await nats.stores.objectBucket("supercheck").put("text", "two\r\nlines\tü");
    const { stdout } = await nats.cli(["object", "get", "text"], { terminal: true });
    assertEquals(stdout.replaceAll("\r", ""), "two\nlines\tü\n");
  },
});

Deno.test("terminalText writes colours of its own, and escapes all others and all that a terminal obeys", () => {
  const { red, dim } = colours(true);
  assertEquals(
    terminalText(`${red("no")} ${dim("\x1b[31mx\x9b")}`, false),
    "\x1b[31mno\x1b[39m \x1b[2m\\u001b[31mx\\u009b\x1b[22m",
  );
  assertEquals(terminalText(`${red("no")}\x07`, true), "\x1b[31mno\x1b[39m\x07");
  const unsafe = /[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/u;
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert(!unsafe.test(terminalText(text, false)), text);
    assertEquals(terminalText(text, true), text);
  }));
  for (const character of ["\0", ...OBEYED]) {
    assertEquals(
      printableLines(`a${character}b`).length === 3,
      character === "\n" || character === "\t",
      Deno.inspect(character),
    );
  }
});
