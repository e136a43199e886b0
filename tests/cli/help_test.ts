import { assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { run } from "./_commands.ts";

Deno.test("--version and -V print the version of deno.json", async () => {
  for (const option of ["--version", "-V"]) {
    assertEquals(await run("main.ts", [option]), { code: 0, stdout: `${config.version}\n`, stderr: "" });
  }
});

Deno.test("help explains a command of a group as its --help does, and refuses an unknown one", async () => {
  const told = await run("main.ts", ["help", "queue", "publish"]);
  assertEquals(told, await run("main.ts", ["queue", "publish", "--help"]));
  assertMatch(told.stdout, /^Usage: cli queue publish \[options\] <queue> \[data\]\n/);
  assertEquals(await run("main.ts", ["help", "kv"]), await run("main.ts", ["kv", "--help"]));
  assertMatch((await run("main.ts", ["help"])).stdout, /^Usage: cli \[options\] \[command\]\n/);
  const unknown = await run("main.ts", ["help", "queue", "nope"]);
  assertEquals([unknown.code, unknown.stdout], [2, ""]);
  assertMatch(unknown.stderr, /^error: unknown command 'nope'/);
});

Deno.test("help shows the name that the program was installed as", async () => {
  const named = async (path: string, ...args: string[]) =>
    (await run("main.ts", [...args, "--help"], { env: { _: path } })).stdout;
  assertMatch(
    await named("/home/ann/.deno/bin/jets", "queue", "publish"),
    /^Usage: jets queue publish [^]*\n {2}jets queue publish /,
  );
  assertMatch(await named("/usr/bin/deno"), /^Usage: cli \[options\]/);
  for (const path of ["/tmp/$(rm -rf)", "/usr/bin/nohup", "/usr/bin/setsid"]) {
    assertMatch(await named(path), /^Usage: cli \[options\]/);
  }
});
