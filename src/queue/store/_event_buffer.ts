/** Events and bytes of them that wait for a slow reader. */
const MAX_EVENTS = 10_000;
const MAX_BYTES = 8 * 1024 * 1024;

/** What waits for the reader of a live list. Beyond its limits the oldest are dropped: the newest show the present state. */
export class EventBuffer<T> {
  #items: { value: T; bytes: number }[] = [];
  #bytes = 0;
  #dropped = false;

  /** Adds one; returns whether it is the first to displace another since the buffer was empty. */
  push(value: T, bytes: number): boolean {
    this.#items.push({ value, bytes });
    this.#bytes += bytes;
    let displaced = 0;
    while (this.#items.length - displaced > 1 && this.#isOver(displaced)) {
      this.#bytes -= this.#items[displaced++].bytes;
    }
    if (displaced === 0) return false;
    this.#items.splice(0, displaced);
    const isFirst = !this.#dropped;
    this.#dropped = true;
    return isFirst;
  }

  /** Takes the oldest. */
  shift(): T | undefined {
    const item = this.#items.shift();
    this.#bytes -= item?.bytes ?? 0;
    if (this.#items.length === 0) this.#dropped = false;
    return item?.value;
  }

  #isOver(displaced: number): boolean {
    return this.#items.length - displaced > MAX_EVENTS || this.#bytes > MAX_BYTES;
  }
}
