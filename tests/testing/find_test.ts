import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runScript } from "./_run_script.ts";

/** A directory that holds nothing but files with these names, all of them executable, and the system's `sh`. */
async function makeBin(...names: string[]): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  await Deno.symlink("/bin/sh", `${path}/sh`);
  for (const name of names) await Deno.writeTextFile(`${path}/${name}`, "#!/bin/sh\n", { mode: 0o755 });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Puts a program into a cache as if it had been installed. */
async function plant(cache: string, program: string): Promise<void> {
  await Deno.writeTextFile(`${cache}/nats-server-2.15.1`, program, { mode: 0o755 });
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(program))).toHex();
  await Deno.writeTextFile(`${cache}/nats-server-2.15.1.sha256`, hash);
}

const FIND = "console.log(await testing.findNatsServer());";
const OFFLINE = ["--allow-run=sh", "--allow-read", "--allow-write", "--allow-env", "--allow-net=127.0.0.1"];

Deno.test("findNatsServer prefers NATS_SERVER, then PATH, then its cache", async () => {
  await using named = await makeBin("my-server");
  await using onPath = await makeBin("nats-server");
  await using home = await makeBin();
  const cache = `${home.path}/.cache/supercheck-jetstream`;
  await Deno.mkdir(cache, { recursive: true });
  await plant(cache, "");

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
  assertStringIncludes(
    out,
    `- cache: no nats-server in ${home.path}/.cache/supercheck-jetstream that is as it was installed\n`,
  );
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

Deno.test("findNatsServer runs no program from a cache where others may write, nor from one within such a directory", async () => {
  await using home = await makeBin();
  const cache = `${home.path}/.cache/supercheck-jetstream`;
  await Deno.mkdir(cache, { recursive: true, mode: 0o700 });
  await plant(cache, "");
  const env = { HOME: home.path, PATH: home.path };
  const find = async () => await runScript(FIND, { env, flags: OFFLINE });
  assertEquals((await find()).out, `${cache}/nats-server-2.15.1`);
  for (const [directory, mode] of [[cache, 0o777], [cache, 0o1777], [cache, 0o770], [home.path, 0o777]] as const) {
    await Deno.chmod(directory, mode);
    const { code, err } = await find();
    assertEquals(code, 1);
    assertStringIncludes(err, `Cannot run a program from ${cache} as others may write to ${directory}: chmod go-w`);
    await Deno.chmod(directory, 0o700);
  }
  // Where only owners may rename, others cannot replace the directory.
  await Deno.chmod(home.path, 0o1777);
  assertEquals((await find()).out, `${cache}/nats-server-2.15.1`);
});

Deno.test("findNatsServer installs nothing into a cache where others may write", async () => {
  await using home = await makeBin();
  const cache = `${home.path}/.cache/supercheck-jetstream`;
  await Deno.mkdir(cache, { recursive: true });
  await Deno.chmod(cache, 0o777);
  const { code, err } = await runScript(FIND, { env: { HOME: home.path, PATH: home.path }, flags: OFFLINE });
  assertEquals(code, 1);
  assertStringIncludes(err, `- Cannot run a program from ${cache} as others may write to ${cache}`);
  assertEquals([...Deno.readDirSync(cache)], []);
});

Deno.test("findNatsServer does not run a program whose hash is unknown, or another than at its installation", async () => {
  await using home = await makeBin();
  const cache = `${home.path}/.cache/supercheck-jetstream`;
  await Deno.mkdir(cache, { recursive: true, mode: 0o700 });
  await plant(cache, "");
  const program = `#!/bin/sh\ntouch ${home.path}/was-run\n`;
  const env = { HOME: home.path, PATH: home.path };
  const start = async () => await runScript("await testing.startNatsServer();", { env, flags: OFFLINE });
  await Deno.writeTextFile(`${cache}/nats-server-2.15.1`, program);
  assertStringIncludes((await start()).err, "Cannot find a nats-server, nor install one");
  await Deno.remove(`${cache}/nats-server-2.15.1.sha256`);
  assertStringIncludes((await start()).err, `- cache: no nats-server in ${cache} that is as it was installed`);
  assertEquals(Array.from(Deno.readDirSync(home.path), ({ name }) => name).includes("was-run"), false);
});
