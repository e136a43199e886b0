import { assertEquals, assertStringIncludes } from "@std/assert";
import { runScript } from "./_run_script.ts";

const NEEDED = [
  "--allow-run=sh",
  "--allow-net=127.0.0.1",
  "--allow-env=NATS_SERVER,PATH,XDG_CACHE_HOME,HOME,TMPDIR",
  "--allow-read",
  "--allow-write",
];

const SCRIPT = `
  await using server = await testing.startNatsServer();
  await server.restart();
  console.log("works");
`;

function start(flags: string[]): Promise<{ code: number; out: string; err: string }> {
  return runScript(SCRIPT, { env: Deno.env.toObject(), flags });
}

Deno.test("startNatsServer works with the permissions that it documents", async () => {
  assertEquals(await start(NEEDED), { code: 0, out: "works", err: "" });
});

Deno.test("startNatsServer names the permission that is missing", async () => {
  for (const missing of NEEDED) {
    const { code, err } = await start(NEEDED.filter((flag) => flag !== missing));
    assertEquals(code, 1);
    assertStringIncludes(err, `NotCapable: Cannot start a nats-server as Deno lacks permissions: add ${missing}\n`);
  }
});

Deno.test("startNatsServer names all permissions at once", async () => {
  const { err } = await start([]);
  assertStringIncludes(err, `add ${NEEDED.join(" ")}\n`);
});
