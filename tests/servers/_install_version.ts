/** Where servers of all versions are kept. */
function cacheDirectory(): string {
  const caches = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  return `${caches}/supercheck-jetstream/servers`;
}

/**
 * Finds the nats-server of a version, or builds it by `go install`.
 *
 * @returns The path of the program.
 * @throws {Error} If it cannot be built.
 */
export async function installVersion(version: string): Promise<string> {
  const folder = `${cacheDirectory()}/${version}`;
  const program = `${folder}/nats-server`;
  try {
    await Deno.stat(program);
    return program;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { success, stderr } = await new Deno.Command("go", {
    args: ["install", `github.com/nats-io/nats-server/v2@v${version}`],
    env: { GOBIN: folder, CGO_ENABLED: "0" },
  }).output();
  if (!success) throw new Error(`nats-server ${version} cannot be built: ${new TextDecoder().decode(stderr)}`);
  return program;
}
