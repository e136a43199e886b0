/** Finds a nats-server program: `NATS_SERVER` in the environment, else the one on `PATH`. */
export async function findNatsServer(_options: { signal?: AbortSignal } = {}): Promise<string> {
  const named = Deno.env.get("NATS_SERVER");
  if (named) return named;
  for (const directory of (Deno.env.get("PATH") ?? "").split(":").filter((part) => part !== "")) {
    const file = await Deno.stat(`${directory}/nats-server`).catch(() => null);
    if (file?.isFile) return `${directory}/nats-server`;
  }
  throw new Error("Cannot find nats-server: set NATS_SERVER to the path of the program or put it on PATH");
}
