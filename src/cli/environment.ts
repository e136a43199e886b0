/** A variable of the environment; one that may not be read (no `--allow-env`) counts as unset, as in the library. */
export function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
