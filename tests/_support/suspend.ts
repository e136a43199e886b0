import type { NatsServer } from "../../src/testing/mod.ts";

/** Suspends a server, and waits until it is: the signal takes a moment. */
export async function suspend(server: NatsServer): Promise<void> {
  server.suspend();
  while (!(await processState(server.pid)).startsWith("T")) continue;
}

async function processState(pid: number): Promise<string> {
  if (Deno.build.os === "linux") return (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ")[1];
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", `${pid}`] }).output();
  return new TextDecoder().decode(stdout);
}
