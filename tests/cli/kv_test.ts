import { assert, assertEquals, assertMatch } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { hasTerminal } from "./_commands.ts";
import { records, startCli } from "./_cli.ts";

const URL_KEY = "https://example.com/a.b c";

Deno.test("kv put, get and del work on the keys of storeKV, loadKV and deleteKV", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  assertEquals(await cli(["kv", "put", URL_KEY, "up"]), {
    code: 0,
    stdout: "1\n",
    stderr: "Making bucket supercheck_kv.\n",
  });
  assertEquals(await stores.loadKV(URL_KEY), { key: URL_KEY, val: "up" });
  assertEquals((await stores.kvBucket("supercheck_kv").status())?.ttl, 86_400_000);
  await stores.storeKV(URL_KEY, "down");
  assertEquals(await cli(["kv", "get", URL_KEY]), { code: 0, stdout: "down", stderr: "" });
  assertEquals(await cli(["kv", "del", URL_KEY, "--yes"]), { code: 0, stdout: `deleted ${URL_KEY}\n`, stderr: "" });
  assertEquals(await stores.loadKV(URL_KEY), null);
  const { code, stderr } = await cli(["kv", "get", URL_KEY]);
  assertEquals([code, stderr], [1, `error: there is no value under "${URL_KEY}" in bucket supercheck_kv\n`]);
});

Deno.test("kv put takes standard input and files byte by byte, and kv get prints them", async () => {
  await using nats = await startCli();
  const { cli } = nats;
  const bytes = Uint8Array.of(0, 255, 10, 13, 128);
  const file = await Deno.makeTempFile();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(file) };
  await Deno.writeFile(file, bytes);
  await cli(["kv", "put", "-b", "files", "piped"], { input: bytes });
  await cli(["kv", "put", "-b", "files", "file", "--file", file]);
  for (const key of ["piped", "file"]) {
    assertEquals(records(await cli(["kv", "get", "-b", "files", key, "--json"]))[0].base64, bytes.toBase64());
  }
});

Deno.test("kv put --create, --revision and --ttl say in exit codes whether the value is stored", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const put = async (...args: string[]) => (await cli(["kv", "put", "-b", "locks", "leader", ...args])).code;
  assertEquals(await put("me", "--create", "--ttl", "1m"), 0);
  assertEquals(await put("you", "--create"), 1);
  assertEquals(await put("you", "--revision", "1"), 0);
  assertEquals(await put("they", "--revision", "1"), 1);
  assertEquals((await stores.kvBucket("locks").get("leader"))?.text(), "you");
});

Deno.test("kv ls lists keys by filter: plain, as a table, as JSON", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const kv = stores.kvBucket("supercheck_kv");
  for (const [key, value] of [["a.b", "1"], ["a.c", "two\nlines \x1b[31m"], ["b", "x".repeat(200)]]) {
    await kv.put(key, value);
  }
  assertEquals((await cli(["kv", "ls"])).stdout, "a.b\na.c\nb\n");
  assertEquals((await cli(["kv", "ls", "a.*", "--json"])).stdout.split("\n").length, 3);
  const [title, , second, third] = (await cli(["kv", "ls", "--long"])).stdout.split("\n");
  assertMatch(title, /^KEY +REVISION +CREATED +SIZE +VALUE$/);
  assertMatch(second, /^a\.c +2 +[\d-]+ [\d:]+ +15 B +two lines \uFFFD\[31m$/);
  assertMatch(third, /x…$/);
  assertEquals(records(await cli(["kv", "ls", "--json"]))[1].value, "two\nlines \x1b[31m");
  assertEquals(await cli(["kv", "ls", "-b", "nothing"]), {
    code: 1,
    stdout: "",
    stderr: "error: there is no key-value bucket nothing\n",
  });
  assertEquals(await cli(["kv", "ls", "z.>"]), { code: 0, stdout: "", stderr: "No keys.\n" });
});

Deno.test("kv watch follows a bucket over a restart of the server, until it is interrupted", async () => {
  await using nats = await startCli();
  const { stores, server } = nats;
  await stores.storeKV("first", "1");
  await using watch = nats.start(["kv", "watch", "--json"]);
  await watch.until(({ json }) => json[0]);
  await stores.deleteKV("first");
  await watch.until(({ json }) => json[1]);
  await server.restart();
  await watch.until(({ stderr }) => stderr.includes("Reconnected"));
  await waitUntil(async () => await stores.storeKV("second", "2") !== null);
  await watch.until(({ json }) => json[2]);
  watch.kill("SIGINT");
  assertEquals(await watch.end(), 0);
  assertEquals(watch.json.map(({ key, operation, value }) => [key, operation, value]), [
    ["first", "put", "1"],
    ["first", "delete", undefined],
    ["second", "put", "2"],
  ]);
  assertMatch(watch.stderr, /Disconnected from NATS at/);
});

Deno.test({
  name: "kv del asks at a terminal before it deletes, and does not without an answer",
  ignore: !hasTerminal,
  fn: async () => {
    await using nats = await startCli();
    const { stores } = nats;
    await stores.storeKV("theme", "dark");
    const refused = await nats.cli(["kv", "del", "theme"]);
    assertEquals([refused.code, refused.stderr], [
      2,
      'error: will not delete key "theme" from bucket supercheck_kv without --yes: there is no terminal to ask at\n',
    ]);
    for (const [answer, code] of [["n\n", 1], ["\n", 1], ["\x04", 1], ["\x03", 130], ["y\n", 0]] as const) {
      assert(await stores.loadKV("theme"));
      await using del = nats.start(["kv", "del", "theme"], { terminal: true });
      await del.until(({ stdout }) =>
        stdout.includes('\x1b[33mDelete key "theme" from bucket supercheck_kv?\x1b[39m [y/N] ')
      );
      await del.write(answer);
      assertEquals([answer, await del.end()], [answer, code]);
    }
    assertEquals(await stores.loadKV("theme"), null);
  },
});

Deno.test("kv lock runs a program while it holds the lock, and passes on its exit code", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const locks = stores.kvBucket("locks");
  const lock = (...args: string[]) => cli(["kv", "lock", "-b", "locks", "nightly", ...args]);
  const first = await lock("--", "sh", "-c", "echo $SUPERCHECK_LOCK_FENCE; exit 7");
  assertEquals([first.code, first.stderr], [7, "Making bucket locks.\n"]);
  assertEquals(await locks.get("nightly"), null);
  {
    await using held = (await locks.lock("nightly"))!;
    assert(held.fence > Number(first.stdout));
    const refused = await lock("--", "echo", "ran");
    assertEquals([refused.code, refused.stdout], [1, ""]);
    assertMatch(refused.stderr, /error: somebody else holds the lock "nightly"/);
  }
  assertEquals((await lock("--", "no-such-program-here")).code, 127);
  assertEquals((await lock()).code, 2);
});

Deno.test("kv lock ends its program when the lock is lost, or when it is interrupted, and releases the lock then", async () => {
  await using nats = await startCli();
  const { start, stores } = nats;
  const locks = stores.kvBucket("locks");
  const program = ["sh", "-c", "echo begun; exec sleep 100"];
  {
    await using command = start(["kv", "lock", "-b", "locks", "lost", "--", ...program]);
    await command.until(({ stdout }) => stdout.includes("begun"));
    await locks.delete("lost");
    assertEquals(await command.end(), 1);
    assertMatch(command.stderr, /the lock "lost" was lost, and the program was ended/);
  }
  await using command = start(["kv", "lock", "-b", "locks", "stopped", "--", ...program]);
  await command.until(({ stdout }) => stdout.includes("begun"));
  command.kill("SIGINT");
  assertEquals(await command.end(), 130);
  assertEquals(await locks.get("stopped"), null);
});

Deno.test("kv modify adds to a number, and lets a program make a value of the present one, again if another write comes between", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const bucket = stores.kvBucket("b");
  const modify = (...args: string[]) => cli(["kv", "modify", "-b", "b", ...args]);
  const counted = await Promise.all([modify("n", "--add", "1"), modify("n", "--add", "1"), modify("n", "--add", "1")]);
  assertEquals(counted.map(({ stdout }) => stdout).toSorted(), ["1", "2", "3"]);
  assertEquals(records(await modify("n", "--add=-0.5", "--json"))[0].value, "2.5");
  await bucket.put("text", "a");
  assertEquals((await modify("text", "--", "tr", "a", "b")).stdout, "b");
  assertEquals((await modify("new", "--", "sh", "-c", "cat; printf first")).stdout, "first");
  // The first run of the program lets another write come between.
  const flag = await Deno.makeTempFile();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(flag) };
  await using command = nats.start([
    ...["kv", "modify", "-b", "b", "text", "--", "sh", "-c"],
    `if [ -s ${flag} ]; then cat; printf " and more"; else echo begun > ${flag}; cat; while [ "$(cat ${flag})" = begun ]; do sleep 0.05; done; fi`,
  ]);
  await waitUntil(async () => await Deno.readTextFile(flag) === "begun\n");
  await bucket.put("text", "from elsewhere");
  await Deno.writeTextFile(flag, "written");
  assertEquals([await command.end(), command.stdout], [0, "from elsewhere and more"]);
});

Deno.test("kv modify stores nothing if its program fails, or the value is no number", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  await stores.kvBucket("b").put("k", "kept");
  const modify = async (...args: string[]) => {
    const { code, stderr } = await cli(["kv", "modify", "-b", "b", "k", ...args]);
    return [code, stderr];
  };
  assertEquals(await modify("--", "sh", "-c", "echo half; exit 7"), [7, "error: sh failed, and nothing is stored\n"]);
  assertEquals((await modify("--", "no-such-program-here"))[0], 127);
  assertEquals(await modify("--add", "1"), [1, 'error: the value under "k" is no number\n']);
  for (const wrong of [[], ["--add", "x"], ["--add", "1", "--", "cat"]]) assertEquals((await modify(...wrong))[0], 2);
  assertEquals((await stores.kvBucket("b").get("k"))?.text(), "kept");
});
