import { assert, assertEquals, assertMatch } from "@std/assert";
import { startCli } from "./_cli.ts";

/** What it answers a browser that asks for a host; fetch() would not let us choose one. */
async function statusLine(url: string, host: string): Promise<string> {
  using socket = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  await socket.write(new TextEncoder().encode(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
  return (await new Response(socket.readable).text()).split("\r\n", 1)[0];
}

Deno.test("dashboard serves the page on loopback until it is interrupted", async () => {
  await using line = await startCli();
  await line.stores.jobQueue("mails").publish(1, { id: "a" });
  await using command = line.start(["dashboard", "--port", "0"]);
  const url = await command.until(({ stdout }) => /^(http:\/\/127\.0\.0\.1:\d+)\/$/m.exec(stdout)?.[1]);
  assertMatch(await (await fetch(`${url}/queues/mails`)).text(), /mails/);
  // A name of another site that leads to this machine is not this machine's.
  assertMatch(await statusLine(url, "evil.example"), / 403 /);
  assertMatch(await statusLine(url, new URL(url).host), / 200 /);
  command.kill("SIGINT");
  assertEquals(await command.end(), 0);
});

Deno.test("dashboard with a token refuses requests without it, and changes nothing when it is read-only", async () => {
  await using line = await startCli();
  const env = { SUPERCHECK_DASHBOARD_TOKEN: "a secret" };
  await using command = line.start(["dashboard", "--port", "0", "--read-only"], { env });
  const url = await command.until(({ stdout }) => /^(http:\S+:\d+)\/$/m.exec(stdout)?.[1]);
  const status = async (method: string, password?: string) => {
    const headers: HeadersInit = password === undefined ? {} : { authorization: `Basic ${btoa(`:${password}`)}` };
    const response = await fetch(url, { method, headers });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await status("GET"), 401);
  assertEquals(await status("GET", "a secre"), 401);
  assertEquals(await status("GET", "a secret"), 200);
  assertEquals(await status("POST", "a secret"), 403);
  assert(!command.stdout.includes("secret") && !command.stderr.includes("secret"));
});

Deno.test("dashboard refuses other addresses than loopback without a token", async () => {
  await using line = await startCli();
  const { code, stderr } = await line.cli(["dashboard", "--host", "0.0.0.0"]);
  assertEquals(code, 2);
  assertMatch(stderr, /--host 0\.0\.0\.0 lets others in: give a --token/);
  assertEquals((await line.cli(["dashboard", "--port", "no"])).code, 2);
});
