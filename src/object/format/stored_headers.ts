/** An object's headers as ADR-20 has them: a list of values for each. */
export function storedHeaders(headers: Record<string, string | string[]>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [values].flat()]));
}
