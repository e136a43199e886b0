import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

/**
 * Makes a folder with the sources, and with what they import, as npm installs it.
 *
 * @param files What is needed beside `mod.ts` and `src/`.
 * @param packages What is installed beside, with the versions; none by default.
 */
export async function packageFolder(
  files: string[],
  packages: Record<string, string> = {},
): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  for (const part of ["mod.ts", "src", ...files]) await copy(part, path);
  const used = Object.values(config.imports)
    .map((specifier) => /^npm:((?:@[^/]+\/)?[^/]+)@([^/]+)$/.exec(specifier))
    .filter((match) => match !== null);
  const dependencies = { ...Object.fromEntries(used.map(([, name, version]) => [name, version])), ...packages };
  await Deno.writeTextFile(`${path}/package.json`, JSON.stringify({ type: "module", dependencies }));
  await runProgram(path, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts");
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function copy(part: string, folder: string): Promise<void> {
  const from = new URL(part, ROOT);
  if ((await Deno.stat(from)).isFile) {
    await Deno.mkdir(`${folder}/${part}`.replace(/\/[^/]+$/, ""), { recursive: true });
    return await Deno.copyFile(from, `${folder}/${part}`);
  }
  for await (const { name } of Deno.readDir(from)) await copy(`${part}/${name}`, folder);
}

/** Runs a program to its end, and throws what it printed if it fails. */
export async function runProgram(cwd: string, command: string, ...args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, { cwd, args }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
}
