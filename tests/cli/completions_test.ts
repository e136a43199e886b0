import { assert, assertEquals } from "@std/assert";
import { run } from "./_commands.ts";

async function shell(name: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(name, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function has(name: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" }).output()).success;
}

/** The script that completes in a shell, in a file that is removed afterwards. */
async function scriptFile(name: string): Promise<{ path: string } & AsyncDisposable> {
  const { code, stdout } = await run("main.ts", ["completions", name]);
  assertEquals(code, 0);
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, stdout);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

Deno.test("completions bash completes commands, and options behind values that look like commands", async () => {
  await using script = await scriptFile("bash");
  const complete = async (...words: string[]) => {
    const line = words.map((word) => `'${word}'`).join(" ");
    const text =
      `source ${script.path}; COMP_WORDS=(cli ${line}); COMP_CWORD=${words.length}; _cli; echo "\${COMPREPLY[@]}"`;
    return (await shell("bash", "-c", text)).trim();
  };
  assertEquals(await complete("queue", "red"), "redrive");
  assertEquals(await complete("--server", "local", "queue", "publish", "kv", "--ke"), "--key --keep-result");
  assertEquals(await complete("metr"), "metrics");
  assertEquals(await complete("kv", "put", "--buck"), "--bucket");
});

Deno.test("completions prints scripts that zsh and fish can read, where these are", async () => {
  for (const name of ["zsh", "fish"]) {
    await using script = await scriptFile(name);
    if (await has(name)) await shell(name, "-n", script.path);
  }
  assertEquals((await run("main.ts", ["completions", "tcsh"])).code, 2);
});
