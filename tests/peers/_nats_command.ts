import { hasProgram } from "../_support/has_program.ts";

/** Why tests with the `nats` command are skipped here, to be put behind their names; empty where they run. */
export const withoutNatsCommand: string = await hasProgram("nats", "--version")
  ? ""
  : " (not tested here: no nats command on the PATH)";

/** Runs the `nats` command against a server; throws what it prints when it fails. */
export async function nats(url: string, ...args: string[]): Promise<string> {
  const all = ["--no-context", "--server", url, "--timeout", "20s", ...args];
  const { success, stdout, stderr } = await new Deno.Command("nats", { args: all, stdin: "null" }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`nats ${args.join(" ")} failed: ${error || out}`);
  return out;
}
