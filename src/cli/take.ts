/** The first items of a list, which is left there. */
export async function* take<T>(items: AsyncIterable<T>, limit: number): AsyncGenerator<T, void> {
  let taken = 0;
  for await (const item of items) {
    yield item;
    if (++taken === limit) return;
  }
}
