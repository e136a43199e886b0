import { assertEquals } from "@std/assert";
import { messagePages } from "../../src/wire/message_pages.ts";

/** Reads pages of two from these sequences, and notes where each began. */
function pagesOf(sequences: number[]) {
  const begun: number[] = [];
  const read = (seq: number) => {
    begun.push(seq);
    const page = sequences.filter((sequence) => sequence >= seq).slice(0, 2);
    return Promise.resolve(page.map((sequence) => ({ sequence })));
  };
  const list = async (first?: number, last?: number) => {
    const pages = await Array.fromAsync(messagePages(read, first, last));
    return pages.map((page) => page.map(({ sequence }) => sequence));
  };
  return { begun, list };
}

Deno.test("messagePages begins each page behind the last message of the one before, until one is empty", async () => {
  const { begun, list } = pagesOf([2, 5, 9]);
  assertEquals(await list(), [[2, 5], [9]]);
  assertEquals(begun, [1, 6, 10]);
});

Deno.test("messagePages reads nothing that begins behind the last sequence", async () => {
  const { begun, list } = pagesOf([2, 5, 9, 12]);
  assertEquals(await list(3, 9), [[5, 9]]);
  assertEquals(begun, [3]);
  assertEquals(await list(6, 10), [[9, 12]]);
  assertEquals(await list(6, 5), []);
  assertEquals(begun, [3, 6]);
});
