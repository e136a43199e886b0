import { variable } from "../environment.ts";
import { type Colours, colours, terminalText, wantsColours } from "./colours.ts";

/** A stream that a {@linkcode Screen} writes to. */
export interface Output {
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

const encoder = new TextEncoder();

/**
 * Standard output for results, standard error for what happens on the way. On a terminal the last lines of standard error may be a live
 * block that is drawn again and again below everything else.
 */
export class Screen {
  /** Colours of standard output. */
  readonly colours: Colours;
  /** Colours of standard error. */
  readonly noteColours: Colours;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Whether there can be a live block. */
  readonly isLive: boolean;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #readerGone = new AbortController();
  /** Whether stored data goes to a terminal as it is. */
  raw = false;
  /** The lines of the live block, and how many of them are drawn. */
  #block: string[] = [];
  #drawn = 0;

  constructor(stdout: Output = Deno.stdout, stderr: Output = Deno.stderr) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.colours = colours(wantsColours(stdout));
    this.noteColours = colours(wantsColours(stderr));
    this.isTerminal = stdout.isTerminal();
    this.isLive = stderr.isTerminal() && variable("TERM") !== "dumb";
  }

  /** Aborts when the reader of standard output is gone, as in `… | head`. */
  get readerGone(): AbortSignal {
    return this.#readerGone.signal;
  }

  /** Columns of the terminal that standard output is; `Infinity` if it is none. */
  get width(): number {
    return this.isTerminal ? terminalSize().columns : Infinity;
  }

  /** Columns of the terminal that standard error is. */
  get noteWidth(): number {
    return terminalSize().columns;
  }

  /** Writes lines of the result. */
  print(...lines: string[]): void {
    this.#above(this.#stdout, lines);
  }

  /** Writes lines that are not the result. */
  note(...lines: string[]): void {
    this.#above(this.#stderr, lines);
  }

  /** Writes bytes of the result as they are. */
  write(bytes: Uint8Array): void {
    this.#write(this.#stdout, bytes);
  }

  /** Writes a part of the result that may end within a line; on a terminal with what that would obey escaped. */
  writeText(text: string): void {
    this.#write(this.#stdout, this.#textFor(this.#stdout, text));
  }

  /** Writes a question, and leaves the cursor behind it. */
  ask(question: string): void {
    this.#write(this.#stderr, this.#textFor(this.#stderr, question));
  }

  /** Replaces the live block; nothing happens where there can be none. */
  live(lines: readonly string[]): void {
    if (!this.isLive) return;
    const { rows } = terminalSize();
    const room = rows - 1;
    this.#block = lines.length <= room ? [...lines] : [...lines.slice(0, room - 1), "…"];
    this.#draw();
  }

  #above(output: Output, lines: string[]): void {
    if (this.#drawn > 0) this.#write(this.#stderr, this.#erase());
    this.#write(output, lines.map((line) => `${this.#textFor(output, line)}\n`).join(""));
    this.#draw();
  }

  /** A result that goes to no terminal is the data as it is; notes may be read on one later. */
  #textFor(output: Output, text: string): string {
    return terminalText(text, this.raw || (output === this.#stdout && !output.isTerminal()));
  }

  #draw(): void {
    if (this.#block.length === 0 && this.#drawn === 0) return;
    // Without wrapping, a line is a line, however narrow the terminal has become.
    const text = `${this.#erase()}\x1b[?7l${
      this.#block.map((line) => `${this.#textFor(this.#stderr, line)}\n`).join("")
    }\x1b[?7h`;
    this.#drawn = this.#block.length;
    this.#write(this.#stderr, text);
  }

  /** What takes the block off the screen, and leaves the cursor where its first line was. */
  #erase(): string {
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : "";
    this.#drawn = 0;
    return `\r${up}\x1b[J`;
  }

  #write(output: Output, text: string | Uint8Array): void {
    if (this.#readerGone.signal.aborted) return;
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    try {
      for (let written = 0; written < bytes.length;) written += output.writeSync(bytes.subarray(written));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      this.#readerGone.abort();
    }
  }
}

function terminalSize(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    // A terminal without a size reports 0.
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // No terminal at all: the classic size will do.
  }
  return { columns: 80, rows: 24 };
}
