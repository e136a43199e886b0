import type { Logger } from "../../../mod.ts";
import type { Paint } from "../terminal/colours.ts";
import type { Screen } from "../terminal/screen.ts";
import { fit, oneLine } from "../terminal/text.ts";
import { type CheckRow, checkTable } from "./check_table.ts";
import type { CheckedUrl, Step } from "./health_checks.ts";

const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** What is to be seen while the demo works: a live table on a terminal, else a line now and then. */
export class DemoDisplay implements Disposable {
  /** Notes the changes of the connection. */
  readonly logger: Logger;
  readonly #screen: Screen;
  readonly #chatty: boolean;
  readonly #ticker: ReturnType<typeof setInterval> | undefined;
  readonly #rows: Map<string, CheckRow> = new Map();
  #status = "";
  #spinning = true;
  #frame = 0;
  #notes: "problems" | "everything" | "nothing" = "problems";

  /** @param options `chatty`: whether steps are printed where there is no live table. */
  constructor(screen: Screen, { chatty }: { chatty: boolean }) {
    this.#screen = screen;
    this.#chatty = chatty && !screen.isLive;
    const { dim, green, yellow, red } = screen.noteColours;
    const note = (paint: Paint, message: string) =>
      screen.note(`${dim(new Date().toLocaleTimeString("en-GB"))}  ${paint(oneLine(message))}`);
    this.logger = {
      info: (message) => this.#notes !== "everything" || note(green, message),
      // Checks that fail are in the table.
      warn: (message) => this.#notes === "nothing" || message.startsWith("Job ") || note(yellow, message),
      error: (message) => this.#notes === "nothing" || note(red, message),
    };
    if (screen.isLive) this.#ticker = setInterval(() => this.#draw(), 100);
  }

  /** Says what is going on; `spinning` while it takes time. */
  status(text: string, { spinning = true }: { spinning?: boolean } = {}): void {
    this.#spinning = spinning;
    if (text !== this.#status && this.#chatty) this.#screen.note(text);
    this.#status = text;
    this.#draw();
  }

  /** Shows a step of a check. */
  step(step: Step): void {
    const { url, phase } = step;
    this.#rows.set(url, { ...this.#rows.get(url), url, phase, ...(step.phase === "done" && { result: step.result }) });
    if (step.phase === "done" && this.#chatty) {
      const { state, error, status, statusText } = step.result;
      const done = this.#rows.values().filter((row) => row.phase === "done").toArray().length;
      this.#screen.note(
        `${done} of ${this.#rows.size}: ${oneLine(url)} is ${state} (${oneLine(error ?? `${status} ${statusText}`)})`,
      );
    }
  }

  /** Shows what a round left. */
  show(checked: CheckedUrl[]): void {
    for (const url of checked) this.#rows.set(url.url, { ...url, phase: "done" });
    this.#draw();
  }

  /** What is noted from now on: at the beginning only problems. */
  note(what: "everything" | "nothing"): void {
    this.#notes = what;
  }

  /** Takes the live table off the screen, for good. */
  clear(): void {
    clearInterval(this.#ticker);
    this.#screen.live([]);
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #draw(): void {
    const { noteColours, noteWidth } = this.#screen;
    const spinner = this.#spinning ? `${SPINNER[this.#frame++ % SPINNER.length]} ` : "";
    const rows = [...this.#rows.values()];
    this.#screen.live([
      ...rows.length > 0 ? [...checkTable(rows, noteColours, noteWidth), ""] : [],
      noteColours.dim(fit(spinner + this.#status, noteWidth)),
    ]);
  }
}
