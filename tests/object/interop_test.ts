import { assert, assertEquals, assertRejects } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { connect as connectOld, headers as oldHeaders, StringCodec } from "nats";
import { headers } from "@nats-io/nats-core";
import { hasProgram } from "../_support/has_program.ts";
import { NatsGo, withoutGo } from "../_support/nats_go.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

const SIZES = [0, 1, 131_071, 131_072, 131_073, 5 * 1_048_576];

/** Names that the JavaScript clients can spell. */
const NAMES = ["plain", "with spaces and / . * >", "https://example.com/health?a=b&c", "x".repeat(1_024), "\0\n~"];

/** Names with accents they look for in another spelling than all other clients; other characters they refuse. */
const ANY_NAMES = [...NAMES, "emoji 😀👍🏽", "日本語", "café"];

interface Official {
  put(name: string, data: Uint8Array): Promise<unknown>;
  get(name: string): Promise<Uint8Array | null>;
  delete(name: string): Promise<unknown>;
  names(): Promise<string[]>;
}

/** The present official client, and the one before, over buckets of their own. */
async function withOfficialClients(
  server: ObjectServer,
  test: (bucket: string, official: Official) => Promise<void>,
): Promise<void> {
  const present = await new Objm(server.nc).create("present");
  await test("present", {
    put: (name, data) => present.putBlob({ name }, data),
    get: (name) => present.getBlob(name),
    delete: (name) => present.delete(name),
    names: async () => (await present.list()).map(({ name }) => name),
  });
  const nc = await connectOld({ servers: server.server.url });
  const old = await nc.jetstream().views.os("old");
  await test("old", {
    put: (name, data) => old.putBlob({ name }, data),
    get: (name) => old.getBlob(name),
    delete: (name) => old.delete(name),
    names: async () => (await old.list()).map(({ name }) => name),
  });
  await nc.close();
}

Deno.test("ObjectBucket reads what the JavaScript clients wrote", async () => {
  await using server = await ObjectServer.start();
  await withOfficialClients(server, async (name, official) => {
    const bucket = server.bucket(name);
    for (const size of SIZES) {
      const data = randomBytes(size);
      await official.put(`size ${size}`, data);
      assertBytes(await bucket.get(`size ${size}`), data);
      assertBytes(await new Response(await bucket.getStream(`size ${size}`)).bytes(), data);
    }
    for (const name of [...NAMES, "café"]) {
      await official.put(name, new TextEncoder().encode(name));
      assertEquals(await bucket.getText(name), name);
    }
    await official.delete("plain");
    assertEquals(await bucket.get("plain"), null);
    assertEquals(await bucket.info("plain"), null);
    assertEquals(
      (await Array.fromAsync(bucket.list(), ({ name }) => name)).sort(),
      (await official.names()).sort(),
    );
  });
});

Deno.test("ObjectBucket writes what the JavaScript clients read", async () => {
  await using server = await ObjectServer.start();
  await withOfficialClients(server, async (name, official) => {
    const bucket = server.bucket(name);
    for (const size of SIZES) {
      const data = randomBytes(size);
      await bucket.put(`size ${size}`, data);
      assertBytes(await official.get(`size ${size}`), data);
      await bucket.putStream(`stream ${size}`, new Blob([data]).stream());
      assertBytes(await official.get(`stream ${size}`), data);
    }
    for (const name of NAMES) {
      await bucket.put(name, name);
      assertEquals(new TextDecoder().decode((await official.get(name))!), name);
    }
    await bucket.delete("plain");
    assertEquals(await official.get("plain"), null);
    await official.put("plain", new Uint8Array(1));
    assertEquals((await bucket.get("plain"))?.length, 1);
    await bucket.put("plain", "ours again");
    assertEquals(new TextDecoder().decode((await official.get("plain"))!), "ours again");
  });
});

Deno.test("ObjectBucket and the JavaScript clients agree on what is stored along with an object", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("along");
  await bucket.put("ours", "x", { description: "d", headers: { A: ["1", "2"], B: "3" }, metadata: { k: "v" } });
  const present = await new Objm(server.nc).open("along");
  const nc = await connectOld({ servers: server.server.url });
  const old = await nc.jetstream().views.os("along");
  for (const official of [present, old]) {
    const info = (await official.info("ours"))!;
    assertEquals([info.name, info.bucket, info.size, info.chunks, info.deleted], ["ours", "along", 1, 1, false]);
    assertEquals([info.description, info.headers?.values("A"), info.headers?.get("B")], ["d", ["1", "2"], "3"]);
    assertEquals([info.metadata, info.options?.max_chunk_size], [{ k: "v" }, 131_072]);
    assert(Math.abs(new Date(info.mtime).getTime() - Date.now()) < 10_000);
  }
  const theirs = headers();
  theirs.append("A", "1");
  await present.putBlob({ name: "theirs", description: "d", headers: theirs, metadata: { k: "v" } }, new Uint8Array(3));
  const olds = oldHeaders();
  olds.append("A", "1");
  await old.putBlob(
    { name: "olds", description: "d", headers: olds, metadata: { k: "v" } },
    StringCodec().encode("old"),
  );
  for (const name of ["theirs", "olds"]) {
    const { description, headers, metadata, size } = (await bucket.info(name))!;
    assertEquals({ description, headers, metadata, size }, {
      description: "d",
      headers: { A: ["1"] },
      metadata: { k: "v" },
      size: 3,
    });
  }
  await nc.close();
});

const cli = await hasProgram("nats", "--version");

Deno.test({
  name:
    "ObjectBucket reads what the nats command wrote, and the other way round (ignored where there is no nats command)",
  ignore: !cli,
  fn: async () => {
    await using server = await ObjectServer.start();
    const directory = await Deno.makeTempDir();
    const nats = (...args: string[]) => run("nats", "-s", server.server.url, "--no-context", "object", ...args);
    await nats("add", "cli");
    assertEquals(comparable(await server.config("cli")), comparable(await configOfOurs(server)));
    const bucket = server.bucket("cli");
    for (const size of SIZES) {
      const data = randomBytes(size);
      await Deno.writeFile(`${directory}/in`, data);
      await nats("put", "cli", `${directory}/in`, "--name", `cli ${size}`, "--force", "--no-progress");
      assertBytes(await bucket.get(`cli ${size}`), data);
      await bucket.put(`ours ${size}`, data);
      await nats("get", "cli", `ours ${size}`, "-O", `${directory}/out`, "--force", "--no-progress");
      assertBytes(await Deno.readFile(`${directory}/out`), data);
    }
    for (const name of ANY_NAMES.filter((name) => !name.includes("\0"))) {
      await bucket.put(name, name);
      await nats("get", "cli", name, "-O", `${directory}/out`, "--force", "--no-progress");
      assertEquals(await Deno.readTextFile(`${directory}/out`), name);
      await nats("rm", "cli", name, "--force");
      assertEquals(await bucket.getText(name), null);
      await nats("put", "cli", `${directory}/out`, "--name", name, "--force", "--no-progress");
      // The command takes names for paths.
      assertEquals(await bucket.getText(name.replace("//", "/")), name);
    }
    await server.assertClean("cli", true);
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test({
  name: `ObjectBucket reads what nats.go wrote, and the other way round${withoutGo}`,
  ignore: withoutGo !== "",
  fn: async () => {
    await using server = await ObjectServer.start();
    await using go = await NatsGo.start(server.server.url);
    await go.call("objects.create", JSON.stringify({ bucket: "go" }));
    const call = (command: string, ...args: string[]) => go.call(`objects.${command}`, "go", ...args);
    const put = (name: string) => call("put", JSON.stringify({ name }), file);
    assertEquals(comparable(await server.config("go")), comparable(await configOfOurs(server)));
    const bucket = server.bucket("go");
    const file = `${go.directory}/data`;
    for (const size of SIZES) {
      const data = randomBytes(size);
      await Deno.writeFile(file, data);
      await put(`go ${size}`);
      assertBytes(await bucket.get(`go ${size}`), data);
      await bucket.put(`ours ${size}`, data);
      await call("get", `ours ${size}`, file);
      assertBytes(await Deno.readFile(file), data);
    }
    for (const name of ANY_NAMES) {
      await bucket.put(name, name);
      await call("get", name, file);
      assertEquals(await Deno.readTextFile(file), name);
      await call("delete", name);
      assertEquals(await bucket.getText(name), null);
      await assertRejects(() => call("get", name, file), Error, "object not found");
      await put(name);
      assertEquals(await bucket.getText(name), name);
      assertEquals(await bucket.delete(name), true);
      await assertRejects(() => call("get", name, file), Error, "object not found");
    }
    await call("link", "link", "ours 1");
    assertEquals((await bucket.info("link"))?.link, { bucket: "go", name: "ours 1" });
    assertEquals(await bucket.get("link"), await bucket.get("ours 1"));
    await bucket.link("our link", { bucket: "go", name: "go 5242880" });
    await bucket.update("go 5242880", { description: "d", headers: { A: ["1"] }, metadata: { k: "v" } });
    const info = await call("info", "go 5242880") as Record<string, unknown>;
    assertEquals([info.description, info.headers, info.metadata], ["d", { A: ["1"] }, { k: "v" }]);
    await call("get", "our link", file);
    assertBytes(await Deno.readFile(file), (await bucket.get("go 5242880"))!);
    await server.assertClean("go", true);
  },
});

async function configOfOurs(server: ObjectServer): Promise<Record<string, unknown>> {
  await server.bucket("ours").put("a", "x");
  return await server.config("ours");
}

/** A configuration without names, and without what the command sets as it pleases. */
function comparable(config: Record<string, unknown>): Record<string, unknown> {
  const { name: _, subjects: __, metadata: ___, ...rest } = config;
  return rest;
}

async function run(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${err || out}`);
  return out;
}
