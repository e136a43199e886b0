import type { Screen } from "./screen.ts";

/** Milliseconds before anything is shown: what is quick needs no progress. */
const SHOWN_AFTER_MS = 300;

/** One line on a terminal that says how far long work has come. */
export class Progress implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #screen: Screen;

  /** @param text Called whenever the line is drawn. */
  constructor(screen: Screen, text: () => string) {
    this.#screen = screen;
    const begun = performance.now();
    this.#timer = setInterval(() => {
      if (performance.now() - begun >= SHOWN_AFTER_MS) screen.live([screen.noteColours.dim(text())]);
    }, 100);
  }

  /** Takes the line off the screen. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#screen.live([]);
  }
}
