import { assert, assertEquals } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { exists, isAlive } from "./_is_alive.ts";
import { firstLine, runScript, startScript } from "./_run_script.ts";

/** A script that starts a server, does more with it, and then tells what there is to look for. */
function start(more = ""): string {
  return `
    const server = await testing.startNatsServer();
    ${more}
    console.log(JSON.stringify({ pid: server.pid, directory: server.storeDir.replace(/\\/store$/, "") }));
  `;
}

interface Started {
  pid: number;
  directory: string;
}

/** Waits until nothing of a server is left: its process, its directory, and last what watches over them. */
async function assertGone({ pid, directory }: Started): Promise<void> {
  await waitUntil(async () =>
    !await isAlive(pid) && !await exists(directory) && !await exists(`${directory}.gone`) && !await isWatched(directory)
  );
}

async function isWatched(directory: string): Promise<boolean> {
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "args="] }).output();
  return new TextDecoder().decode(stdout).includes(directory);
}

/** Starts a process that starts a server and waits, ends it by `end`, and looks what is left. */
async function assertGoneAfter(end: (owner: Deno.ChildProcess) => unknown, more?: string): Promise<void> {
  const script = `${start(more)}\nawait new Promise((resolve) => setTimeout(resolve, 30_000));`;
  const owner = startScript(script, { env: Deno.env.toObject(), detached: true });
  const [line] = await Promise.all([firstLine(owner.stdout), owner.stderr.cancel()]);
  const started: Started = JSON.parse(line);
  assert(await isWatched(started.directory));
  await end(owner);
  await owner.status;
  await assertGone(started);
}

Deno.test("startNatsServer leaves nothing when its process is killed with SIGKILL", async () => {
  await assertGoneAfter((owner) => owner.kill("SIGKILL"));
});

Deno.test("startNatsServer leaves nothing when its whole process group is killed with SIGKILL", async () => {
  await assertGoneAfter(async (owner) => {
    await new Deno.Command("sh", { args: ["-c", 'kill -s KILL -- "-$0"', String(owner.pid)] }).output();
  });
});

Deno.test("startNatsServer leaves nothing when its process is killed while the server is suspended", async () => {
  await assertGoneAfter((owner) => owner.kill("SIGKILL"), "server.suspend();");
});

Deno.test("startNatsServer leaves nothing when its process is killed after the server was", async () => {
  await assertGoneAfter((owner) => owner.kill("SIGKILL"), "await server.kill();");
});

Deno.test("startNatsServer leaves nothing when its process ends without disposal, and does not hold it", async () => {
  const { code, out } = await runScript(start(), { env: Deno.env.toObject() });
  assertEquals(code, 0);
  await assertGone(JSON.parse(out));
});
