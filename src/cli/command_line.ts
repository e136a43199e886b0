import type { Command } from "commander";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { CommandFailure, EXIT } from "./command_failure.ts";
import { variable } from "./environment.ts";
import type { Screen } from "./terminal/screen.ts";
import { oneLine } from "./terminal/text.ts";

const LOCAL_SERVER = "nats://127.0.0.1:4222";

/** Milliseconds that connecting may take: as long as a call within these bounds. */
const CONNECT_TIMEOUT_MS = { least: 2_000, most: 60_000 };

/** How a command works with NATS. */
export interface WorkOptions {
  /**
   * Whether it runs until the user ends it, and so prints each disconnect and reconnect.
   * @default false
   */
  follows?: boolean;
  /**
   * Whether it begins without a connection, too.
   * @default false
   */
  patient?: boolean;
  /**
   * Whether an interruption leaves the connection open: what is under way ends first.
   * @default false
   */
  outlivesInterruption?: boolean;
}

/** What all commands have in common: the options that come with each, the screen, and the way to NATS. */
export class CommandLine {
  readonly screen: Screen;
  /** Aborts when the command is to end: Ctrl-C, or the reader of its output is gone. */
  readonly signal: AbortSignal;
  /** What the program of a command ended with. */
  exitCode = 0;
  readonly #program: Command;
  #follows = false;

  constructor(program: Command, screen: Screen, signal: AbortSignal) {
    this.#program = program;
    this.screen = screen;
    this.signal = signal;
  }

  /** Whether the output is for machines. */
  get json(): boolean {
    return this.#program.opts().json === true;
  }

  /** Whether the user has confirmed whatever is going to be destroyed. */
  get yes(): boolean {
    return this.#program.opts().yes === true;
  }

  /** Whether it runs until it is interrupted, which is then no failure. */
  get follows(): boolean {
    return this.#follows;
  }

  /** Prints a record as one line of JSON, or for a person. */
  print(record: unknown, text: () => string[]): void {
    this.screen.print(...this.json ? [JSON.stringify(record)] : text());
  }

  /** Tells a person what is not part of the result. */
  hint(text: string): void {
    if (!this.json) this.screen.note(this.screen.noteColours.dim(text));
  }

  /**
   * Connects, works and closes. An interruption closes the connection, which ends whatever follows it.
   *
   * @throws {CommandFailure} With the exit code for it, if there is no connection.
   */
  async withNats(work: (nats: Nats) => Promise<void>, options: WorkOptions = {}): Promise<void> {
    const { follows = false, patient = false, outlivesInterruption = false } = options;
    const { server, timeout } = this.#program.opts<{ server?: string; timeout: number }>();
    const target = server ?? variable("SUPERCHECK_NATS_URL") ?? LOCAL_SERVER;
    const { dim, yellow, green, red } = this.screen.noteColours;
    this.#follows = follows;
    let complaint = "";
    let prints = false;
    const note = (paint: (text: string) => string) => (message: string) => {
      complaint = message;
      if (prints) this.screen.note(`${dim(new Date().toLocaleTimeString("en-GB"))}  ${paint(oneLine(message))}`);
    };
    const stores = new JetStreamStores({
      name: "supercheck-cli",
      timeout,
      connectTimeout: Math.min(Math.max(timeout, CONNECT_TIMEOUT_MS.least), CONNECT_TIMEOUT_MS.most),
      logger: { info: note(green), warn: note(yellow), error: note(red) },
      // The ways in are those of the environment, whichever server is named.
      env: (name) => name === "SUPERCHECK_NATS_URL" ? target : variable(name),
    });
    const close = () => {
      prints = false;
      return stores.close({ deadline: 1_000 });
    };
    const interrupt = () => void close();
    if (!outlivesInterruption) this.signal.addEventListener("abort", interrupt, { once: true });
    try {
      if (await connected(stores, server === undefined ? "SUPERCHECK_NATS_URL" : "--server") === null && !patient) {
        // What follows the reason is for services, which continue.
        const reason = complaint.replace(/[.:] calls return null.*$/is, "") || "there is no connection to NATS";
        throw new CommandFailure(`${reason}; --server names another server`, EXIT.noConnection);
      }
      prints = follows;
      await work(new Nats(stores));
    } finally {
      this.signal.removeEventListener("abort", interrupt);
      await close();
    }
  }
}

/** The stores of a command, and the difference between "there is none" and "no answer". */
export class Nats {
  readonly stores: JetStreamStores;

  constructor(stores: JetStreamStores) {
    this.stores = stores;
  }

  /**
   * Makes a call whose `null` means that there is nothing.
   *
   * @throws {CommandFailure} If there was no answer.
   */
  async ask<T>(call: Promise<T>): Promise<T> {
    const { degraded } = this.stores.connectionCounters();
    const answer = await call;
    if (answer === null && this.stores.connectionCounters().degraded > degraded) throw new NoAnswer();
    return answer;
  }

  /**
   * Makes a call whose `null` means that it is not confirmed.
   *
   * @throws {CommandFailure} If it is not.
   */
  async confirmed<T>(call: Promise<T | null>): Promise<T> {
    const answer = await call;
    if (answer === null) throw new NoAnswer();
    return answer;
  }
}

class NoAnswer extends CommandFailure {
  constructor() {
    super("no answer from NATS within the timeout: a change may have been made all the same", EXIT.noConnection);
  }
}

async function connected(stores: JetStreamStores, source: string): Promise<unknown> {
  try {
    return await stores.connect();
  } catch (error) {
    if (error instanceof RangeError) {
      throw new CommandFailure(error.message.replaceAll("SUPERCHECK_NATS_URL", source), EXIT.usage, { cause: error });
    }
    if (!(error instanceof JetStreamStoreError)) throw error;
    throw new CommandFailure(error.message, EXIT.noConnection, { cause: error });
  }
}
