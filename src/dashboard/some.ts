/** The first values of a list, at most so many: the rest is not asked for. */
export async function some<T>(values: AsyncIterable<T>, most: number): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) if (found.push(value) === most) break;
  return found;
}
