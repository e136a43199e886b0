import type { Call } from "../wire/call.ts";
import { JetStreamStoreError } from "../errors.ts";
import { shownName } from "../shown.ts";
import type { ChunkSource } from "./_chunk_source.ts";

/** The bytes of an object as a stream; `null` if chunks are missing: the first ones are read at once. */
export async function download(
  call: Call,
  chunks: ChunkSource,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
  const first = chunks.left > 0 ? await chunks.next(call) : [];
  if (first.length === 0 && chunks.left > 0) return null;
  return new ReadableStream(new Download(chunks, first), { highWaterMark: 0 });
}

/**
 * The bytes of an object as they are taken: what is not taken yet is not requested, except the next few chunks. It resumes after a reconnect, and
 * ends with an error when it cannot be whole.
 */
class Download implements UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  readonly #chunks: ChunkSource;
  /** What has arrived and is not taken, the last chunk first. */
  #ready: Uint8Array[];
  /** What is on its way. */
  #next: Promise<Uint8Array[]> | null = null;

  /** @param first The first chunks. */
  constructor(chunks: ChunkSource, first: Uint8Array[]) {
    this.#chunks = chunks;
    this.#ready = filled(first);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    if (this.#ready.length === 0 && this.#hasNext()) {
      this.#ready = await this.#next!;
      this.#next = null;
    }
    const hasNext = this.#hasNext();
    const chunk = this.#ready.pop();
    if (chunk) controller.enqueue(ownMemory(chunk));
    if (this.#ready.length === 0 && !hasNext) controller.close();
  }

  /** Whether more is on its way, which it is from now on if there is more. */
  #hasNext(): boolean {
    if (this.#chunks.left > 0 && !this.#next) {
      this.#next = this.#fetch();
      // The read of the next chunk throws it.
      this.#next.catch(() => {});
    }
    return this.#next !== null;
  }

  async #fetch(): Promise<Uint8Array[]> {
    const { meta: { name }, stream: { context: { connection, timeout } } } = this.#chunks;
    for (;;) {
      const chunks = await connection.attempt(
        (call) => this.#chunks.next(call),
        { timeout, persist: true, patient: true },
      );
      if (chunks === null) {
        throw new JetStreamStoreError(
          "disconnected",
          `The object "${shownName(name)}" broke off: NATS does not answer`,
        );
      }
      if (chunks.length === 0) {
        throw new JetStreamStoreError(
          "replaced",
          `The object "${shownName(name)}" was replaced, deleted or has expired meanwhile`,
        );
      }
      const ready = filled(chunks);
      if (ready.length > 0 || this.#chunks.left === 0) return ready;
    }
  }
}

/** A chunk in memory of its own: what holds other messages, too, must not be kept or transferred by the reader. */
function ownMemory(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  return chunk.length < chunk.buffer.byteLength ? new Uint8Array(chunk) : chunk as Uint8Array<ArrayBuffer>;
}

/** The chunks that are not empty, the last one first. */
function filled(chunks: Uint8Array[]): Uint8Array[] {
  return chunks.filter((chunk) => chunk.length > 0).reverse();
}
