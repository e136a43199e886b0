import { assert, assertEquals, assertMatch } from "@std/assert";
import { records, startCli } from "./_cli.ts";

const URL_NAME = "https://example.com/health?a=ü";

Deno.test("object put and get work on the results of storeHealthcheck and loadHealthcheck", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const { code, stdout } = await cli(["object", "put", URL_NAME], { input: '{"status":200}' });
  assertEquals(code, 0);
  assertMatch(stdout, /^14 B in bucket supercheck, SHA-256=/);
  assertEquals(await stores.loadHealthcheck(URL_NAME), '{"status":200}');
  assertEquals((await stores.objectBucket("supercheck").status())?.ttl, 30_000);
  await stores.storeHealthcheck(URL_NAME, '{"status":503}');
  assertEquals(await cli(["object", "get", URL_NAME]), { code: 0, stdout: '{"status":503}', stderr: "" });
  const [record] = records(await cli(["object", "get", URL_NAME, "--json"]));
  assertEquals([record.name, record.size, record.value], [URL_NAME, 14, '{"status":503}']);
});

Deno.test("object put and get carry files of many chunks, with description and headers", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const directory = await Deno.makeTempDir();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }) };
  const bytes = new Uint8Array(1_000_000).map((_, i) => i * i % 251);
  await Deno.writeFile(`${directory}/in`, bytes);
  const details = ["--description", "squares", "-H", "Content-Type=application/octet-stream", "-H", "X-Kind=test"];
  assertEquals((await cli(["object", "put", "-b", "files", "big", `${directory}/in`, ...details])).code, 0);
  const info = await stores.objectBucket("files").info("big");
  assertEquals([info?.size, info?.description, info?.headers], [1_000_000, "squares", {
    "Content-Type": ["application/octet-stream"],
    "X-Kind": ["test"],
  }]);
  const { stdout } = await cli(["object", "get", "-b", "files", "big", "-o", `${directory}/out`]);
  assertEquals(stdout, `976.6 KiB in ${directory}/out\n`);
  assertEquals(await Deno.readFile(`${directory}/out`), bytes);
  assertEquals([...Deno.readDirSync(directory)].length, 2);
});

Deno.test("object get leaves the file as it was when there is nothing to write, or nowhere to", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const directory = await Deno.makeTempDir();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }) };
  await Deno.writeTextFile(`${directory}/out`, "before");
  const missing = await cli(["object", "get", "nothing", "-o", `${directory}/out`]);
  assertEquals([missing.code, missing.stderr], [1, 'error: there is no object "nothing" in bucket supercheck\n']);
  assertEquals(await Deno.readTextFile(`${directory}/out`), "before");
  await stores.objectBucket("supercheck").put("something", "{}");
  const nowhere = await cli(["object", "get", "something", "-o", `${directory}/no/where`]);
  assertEquals(nowhere.code, 1);
  assertMatch(nowhere.stderr, /^error: cannot write .+\/no\/where: No such file/);
  const folder = await cli(["object", "get", "something", "-o", directory]);
  assertEquals(folder.code, 1);
  assertMatch(folder.stderr, /^error: cannot write .+: Is a directory/);
  assertEquals((await cli(["object", "get", "something", "-o", ""])).code, 2);
});

Deno.test("object ls lists and object rm deletes", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  // Without the TTL of health checks.
  for (const name of ["a", "b", URL_NAME]) await stores.objectBucket("supercheck").put(name, "{}");
  assertEquals((await cli(["object", "ls", "--names"])).stdout, `a\nb\n${URL_NAME}\n`);
  assertMatch((await cli(["object", "ls"])).stdout, /^NAME +SIZE +STORED\na +2 B +[\d-]+ [\d:]+\n/);
  assertEquals(records(await cli(["object", "ls", "--json"])).map(({ name }) => name), ["a", "b", URL_NAME]);
  assertEquals((await cli(["object", "rm", "a"])).code, 2);
  const { code, stdout, stderr } = await cli(["object", "rm", "a", URL_NAME, "z", "-y"]);
  assertEquals([code, stdout], [1, `deleted a\ndeleted ${URL_NAME}\n`]);
  assertEquals(stderr, 'error: there is no object "z" in bucket supercheck\n');
  assert(await stores.loadHealthcheck("b"));
  assertEquals(await stores.loadHealthcheck("a"), null);
});

Deno.test("object set changes what is stored along with an object, and object link makes another name for it", async () => {
  await using nats = await startCli();
  const { cli, stores } = nats;
  const bucket = stores.objectBucket("reports");
  await bucket.put("a.txt", "text");
  const on = ["--bucket", "reports"];
  const [set] = records(await cli(["object", "set", ...on, "a.txt", "--description", "d", "-M", "k=v", "--json"]));
  assertEquals([set.description, set.metadata], ["d", { k: "v" }]);
  assertEquals((await cli(["object", "set", ...on, "none", "--description", "d"])).code, 1);
  assertEquals((await cli(["object", "set", ...on, "a.txt"])).code, 2);
  assertEquals(await cli(["object", "link", ...on, "latest", "a.txt"]), {
    code: 0,
    stdout: '"latest" leads to "a.txt" in bucket reports\n',
    stderr: "",
  });
  assertEquals((await cli(["object", "get", ...on, "latest"])).stdout, "text");
  assertEquals((await cli(["object", "link", ...on, "old", "--to", "archive"])).code, 0);
  assertEquals((await bucket.info("old"))?.link, { bucket: "archive" });
  const refused = await cli(["object", "link", ...on, "a.txt", "latest"]);
  assertEquals([refused.code, refused.stderr], [1, 'error: there is an object "a.txt" in bucket reports\n']);
  assertEquals(await bucket.getText("a.txt"), "text");
});
