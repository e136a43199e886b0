import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runScript } from "./_run_script.ts";

/** A directory that holds nothing but files with these names, all of them executable, and the system's `sh`. */
async function makeBin(...names: string[]): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  await Deno.symlink("/bin/sh", `${path}/sh`);
  for (const name of names) await Deno.writeTextFile(`${path}/${name}`, "#!/bin/sh\n", { mode: 0o755 });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const FIND = "console.log(await testing.findNatsServer());";
const OFFLINE = ["--allow-run=sh", "--allow-read", "--allow-write", "--allow-env", "--allow-net=127.0.0.1"];

Deno.test("findNatsServer prefers NATS_SERVER, then PATH, then its cache", async () => {
  await using named = await makeBin("my-server");
  await using onPath = await makeBin("nats-server");
  await using home = await makeBin();
  const cache = `${home.path}/.cache/supercheck-jetstream`;
  await Deno.mkdir(cache, { recursive: true });
  await Deno.writeTextFile(`${cache}/nats-server-2.15.1`, "", { mode: 0o755 });

  const find = async (env: Record<string, string>) => (await runScript(FIND, { env })).out;
  const env = { NATS_SERVER: `${named.path}/my-server`, PATH: `/nowhere:${onPath.path}`, HOME: home.path };
  assertEquals(await find(env), `${named.path}/my-server`);
  assertEquals(await find({ ...env, NATS_SERVER: "" }), `${onPath.path}/nats-server`);
  assertEquals(await find({ HOME: home.path, PATH: "/nowhere" }), `${cache}/nats-server-2.15.1`);
  assertEquals(
    await find({ XDG_CACHE_HOME: `${home.path}/.cache`, PATH: "/nowhere" }),
    `${cache}/nats-server-2.15.1`,
  );
});

Deno.test("findNatsServer rejects a NATS_SERVER that is no program", async () => {
  for (const wrong of ["/", import.meta.filename!, "/nowhere/nats-server"]) {
    const { code, err } = await runScript(FIND, { env: { NATS_SERVER: wrong } });
    assertEquals(code, 1);
    assertStringIncludes(err, `must be the path of a program: current value is '${wrong}'`);
  }
});

Deno.test("findNatsServer says what it tried, why each failed and what to do, and leaves nothing behind", async () => {
  await using bin = await makeBin();
  await using home = await makeBin();
  const env = { PATH: bin.path, HOME: home.path };
  const script =
    `await testing.findNatsServer().catch((error) => console.log(error.name, error.errors.length, error.message))`;
  const { out } = await runScript(script, { env, flags: OFFLINE });
  assertMatch(out, /^AggregateError 7 /);
  assertStringIncludes(out, "- NATS_SERVER: not set\n");
  assertStringIncludes(out, `- PATH: no nats-server in `);
  assertStringIncludes(out, `- cache: no nats-server in ${home.path}/.cache/supercheck-jetstream\n`);
  assertMatch(out, /- release archive: .*(net access|no checksum)/);
  assertMatch(out, /- pip: .*python3.*not found/);
  assertMatch(out, /- go install: .*go.*not found/);
  assertMatch(out, /- apt-get: .*apt-get.*not found/);
  assertMatch(out, /\nPut nats-server 2\.15\.1 on PATH, or set NATS_SERVER to its path\.$/);
  const left = Array.from(Deno.readDirSync(`${home.path}/.cache/supercheck-jetstream`), (entry) => entry.name);
  assertEquals(left, ["lock"]);
});

Deno.test("findNatsServer does not install where there is no place for it", async () => {
  const { err } = await runScript(FIND, { env: { PATH: "/nowhere" } });
  assertStringIncludes(err, "neither XDG_CACHE_HOME nor HOME is set");
});
