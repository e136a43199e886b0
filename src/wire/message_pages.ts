/**
 * Pages of a stream's messages in the order of their sequences, each read where the one before ended, until one is empty or ends at the last sequence.
 *
 * @param read Reads messages from a sequence on, the oldest first; none only if there are none.
 * @param first The sequence to begin with.
 * @param last The sequence behind which no page begins; the last page may reach beyond it.
 */
export async function* messagePages<T extends { sequence: number }>(
  read: (seq: number) => Promise<T[]>,
  first: number = 1,
  last: number = Infinity,
): AsyncGenerator<T[], void> {
  for (let seq = first; seq <= last;) {
    const page = await read(seq);
    if (page.length === 0) return;
    yield page;
    seq = page[page.length - 1].sequence + 1;
  }
}
