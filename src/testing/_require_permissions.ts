import { temporaryDirectory } from "./_temporary_directory.ts";

/** The environment variables that lead to a nats-server, its cache and the temporary directory. */
const VARIABLES = ["NATS_SERVER", "PATH", "XDG_CACHE_HOME", "HOME", "TMPDIR"];

/**
 * Checks that this process may start servers, so that one message names all the flags.
 * @throws {Deno.errors.NotCapable} When a permission is missing.
 */
export function requirePermissions(): void {
  const missing = [
    isGranted({ name: "run", command: "sh" }) ? [] : ["--allow-run=sh"],
    isGranted({ name: "net", host: "127.0.0.1" }) ? [] : ["--allow-net=127.0.0.1"],
    VARIABLES.every((variable) => isGranted({ name: "env", variable })) ? [] : [`--allow-env=${VARIABLES.join()}`],
    isGranted({ name: "read", path: temporaryDirectory() }) ? [] : ["--allow-read"],
    isGranted({ name: "write", path: temporaryDirectory() }) ? [] : ["--allow-write"],
  ].flat();
  if (missing.length > 0) {
    throw new Deno.errors.NotCapable(`Cannot start a nats-server as Deno lacks permissions: add ${missing.join(" ")}`);
  }
}

function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
