import { Progress } from "./terminal/progress.ts";
import type { Screen } from "./terminal/screen.ts";
import { bytes } from "./terminal/text.ts";

/** Passes bytes on, and says on the terminal how many by now. */
export class Transfer extends TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> implements Disposable {
  readonly #progress: Progress;

  /** @param size How many there will be, or `null`. */
  constructor(screen: Screen, what: string, size: number | null) {
    let passed = 0;
    super({
      transform(chunk, controller) {
        passed += chunk.length;
        controller.enqueue(chunk);
      },
    });
    const begun = performance.now();
    this.#progress = new Progress(screen, () => {
      const rate = bytes(passed / (performance.now() - begun) * 1_000);
      return `${what}: ${bytes(passed)}${size === null ? "" : ` of ${bytes(size)}`}, ${rate}/s`;
    });
  }

  /** Takes what it says off the screen. */
  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }
}
