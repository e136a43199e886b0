/** All that can be seen of a value. */
export function shown(value: unknown): string {
  const parts = [
    Deno.inspect(value, { depth: Infinity, showHidden: true, getters: true, strAbbreviateSize: Infinity }),
  ];
  for (let error = value; error instanceof Error; error = error.cause) {
    parts.push(String(error), error.stack ?? "", JSON.stringify(error), Deno.inspect(error, { showHidden: true }));
  }
  if (typeof value === "object" && !(value instanceof Error)) parts.push(JSON.stringify(value));
  return parts.join("\n");
}
