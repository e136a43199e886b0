/** How the name of a server's directory begins. */
export const SERVER_DIRECTORY = "nats-server-";

/** The name of the configuration in it. */
export const CONFIG_FILE = "nats-server.conf";

/** Where such directories are made. */
export function temporaryDirectory(): string {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "TMPDIR" });
  return state === "granted" && Deno.env.get("TMPDIR") || "/tmp";
}
