import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { GuardedDirectory } from "../../src/testing/_guarded_directory.ts";
import { runToEnd } from "../../src/testing/_run_to_end.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { exists, isAlive } from "./_is_alive.ts";
import { runScript, type ScriptOptions, startScript } from "./_run_script.ts";

/** A home without nats-server, with a `python3` of ours that writes its process id and its arguments before it goes on with `body`. */
class Home implements AsyncDisposable {
  readonly path: string = Deno.makeTempDirSync();
  readonly cache: string = `${this.path}/cache/supercheck-jetstream`;

  constructor(body: string) {
    const python = `#!/bin/sh\necho "$$ $*" >>'${this.path}/calls'\nPATH='${Deno.env.get("PATH")}'\n${body}\n`;
    Deno.mkdirSync(`${this.path}/bin`);
    Deno.writeTextFileSync(`${this.path}/bin/python3`, python, { mode: 0o755 });
  }

  /** How to run a script in this home; without the hosts of GitHub `pip` has the first turn everywhere. */
  get options(): ScriptOptions {
    const path = Deno.env.get("PATH") ?? "";
    const withoutServer = path.split(":").filter((part) => part !== "" && !isFile(`${part}/nats-server`)).join(":");
    return {
      env: {
        HOME: this.path,
        XDG_CACHE_HOME: `${this.path}/cache`,
        DENO_DIR: `${this.path}/deno`,
        PATH: `${this.path}/bin:${withoutServer}`,
      },
      flags: ["--allow-run=sh", "--allow-read", "--allow-write", "--allow-env", "--allow-net=127.0.0.1"],
    };
  }

  /** The calls of `python3` so far: process id and arguments. */
  async calls(): Promise<string[]> {
    if (!await exists(`${this.path}/calls`)) return [];
    return (await Deno.readTextFile(`${this.path}/calls`)).split("\n").slice(0, -1);
  }

  cached(): string[] {
    return Array.from(Deno.readDirSync(this.cache), (entry) => entry.name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("startNatsServer installs the program once for two processes that start at the same time", async () => {
  await using home = new Home('exec python3 "$@"');
  const script = `
    await using server = await testing.startNatsServer();
    console.log(server.version, await testing.findNatsServer());
  `;
  const results = await Promise.all([runScript(script, home.options), runScript(script, home.options)]);
  const program = `${home.cache}/nats-server-2.15.1`;
  assertEquals(results, Array(2).fill({ code: 0, out: `2.15.1 ${program}`, err: "" }));
  const calls = await home.calls();
  assertEquals(calls.length, 2, calls.join("\n"));
  assertMatch(calls[0], /^\d+ -m pip .*download .*--require-hashes/);
  assertMatch(calls[1], /^\d+ -m zipfile/);
  assertEquals(home.cached(), ["lock", "nats-server-2.15.1", "nats-server-2.15.1.sha256"]);
});

Deno.test("findNatsServer leaves nothing when its process is killed while it installs", async () => {
  await using home = new Home("exec sleep 600");
  const owner = startScript("await testing.findNatsServer();", home.options);
  await waitUntil(async () => (await home.calls()).length === 1);
  owner.kill("SIGKILL");
  await Promise.all([owner.status, owner.stdout.cancel(), owner.stderr.cancel()]);
  const pid = Number((await home.calls())[0].split(" ")[0]);
  await waitUntil(async () => !await isAlive(pid));
  await waitUntil(() => home.cached().length === 1);
  using lock = Deno.openSync(`${home.cache}/lock`, { write: true });
  assert(lock.tryLockSync(true));
});

Deno.test("findNatsServer ends when its signal aborts while it installs", async () => {
  await using home = new Home("exec sleep 60");
  const script = `
    const abort = new AbortController();
    const poll = setInterval(() => {
      try {
        if (Deno.statSync("${home.path}/calls").size === 0) return;
      } catch {
        return;
      }
      clearInterval(poll);
      abort.abort(new Error("enough"));
    }, 20);
    await testing.findNatsServer({ signal: abort.signal }).catch((error) => console.log(error.message));
  `;
  assertEquals(await runScript(script, home.options), { code: 0, out: "enough", err: "" });
  const pid = Number((await home.calls())[0].split(" ")[0]);
  assert(!await isAlive(pid));
  assertEquals(home.cached(), ["lock"]);
});

Deno.test("runToEnd kills a program that takes too long", async () => {
  await using directory = new GuardedDirectory({ prefix: "run-" });
  await assertRejects(
    () => runToEnd(directory, ["sleep", "60"], { timeout: 50 }),
    Error,
    "sleep took longer than 0.05 s",
  );
});

Deno.test("runToEnd rejects with the last words of a program that fails", async () => {
  await using directory = new GuardedDirectory({ prefix: "run-" });
  const program = ["sh", "-c", "echo no luck; exit 3"];
  await assertRejects(() => runToEnd(directory, program, {}), Error, "sh ended with code 3: no luck");
});
