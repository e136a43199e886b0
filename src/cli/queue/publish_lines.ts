import type { JobQueue, PublishOptions } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { openInput } from "../input.ts";
import { Progress } from "../terminal/progress.ts";
import { count } from "../terminal/text.ts";
import { inputBatches, type InputLine } from "./input_lines.ts";
import { messageOf } from "../../shown.ts";

/** Jobs that are published at a time. */
const BATCH_JOBS = 500;

/**
 * Publishes one job for each line of a file or of standard input, as they come; empty lines are left out.
 *
 * @throws {CommandFailure} If a line is not JSON or cannot be published, or jobs are not confirmed; it names the line, and says how many jobs are in
 * the queue. An interruption says so, too.
 */
export async function publishLines(
  line: CommandLine,
  queue: string,
  file: string | undefined,
  options: PublishOptions,
): Promise<void> {
  const { stream } = await openInput(file, line.signal);
  await line.withNats(async ({ stores }) => {
    const publisher = new LinePublisher(stores.jobQueue(queue), options);
    try {
      using _progress = new Progress(line.screen, () => `${count(publisher.published, "job")} published …`);
      for await (const batch of inputBatches(stream, BATCH_JOBS)) await publisher.publish(batch);
    } catch (error) {
      if (line.signal.aborted) line.screen.note(`interrupted: ${publisher.summary}`);
      // Whatever ends it: a line, the server, or an input that cannot be read any more.
      const exitCode = error instanceof CommandFailure ? error.exitCode : EXIT.failed;
      throw new CommandFailure(`${messageOf(error)}; ${publisher.summary}`, exitCode, { cause: error });
    }
    line.print({ queue, published: publisher.published }, () => [`${count(publisher.published, "job")} published`]);
  });
}

/** Publishes batches of lines, and counts what is stored. */
class LinePublisher {
  readonly #queue: JobQueue;
  readonly #options: PublishOptions;
  /** The last line up to which all are confirmed. */
  #confirmed = 0;
  /** The last line that was sent. */
  #sent = 0;
  /** Jobs that are confirmed. */
  published = 0;

  constructor(queue: JobQueue, options: PublishOptions) {
    this.#queue = queue;
    this.#options = options;
  }

  /** What is in the queue by now, for a message. */
  get summary(): string {
    if (this.#sent === 0) return "nothing is published";
    const upTo = this.#confirmed === 0 ? "" : `, all up to line ${this.#confirmed}`;
    const done = `${count(this.published, "job")} published${upTo}`;
    return this.#sent === this.#confirmed ? done : `${done}; those up to line ${this.#sent} may be, too`;
  }

  /** @throws {CommandFailure} If one line cannot be published, or is not confirmed. */
  async publish(lines: readonly InputLine[]): Promise<void> {
    try {
      await this.#send(lines);
    } catch (error) {
      if (error instanceof CommandFailure) throw error;
      const isRefused = isRefusedArgument(error);
      if (isRefused && lines.length > 1) {
        // Which one it is shows when each is published by itself.
        for (const line of lines) await this.publish([line]);
      } else {
        const reason = isRefused ? `line ${lines[0].number}: ${messageOf(error)}` : messageOf(error);
        throw new CommandFailure(reason, EXIT.failed, { cause: error });
      }
    }
  }

  async #send(lines: readonly InputLine[]): Promise<void> {
    const before = this.#sent;
    const last = lines[lines.length - 1].number;
    this.#sent = last;
    const jobs = lines.map(({ data }) => ({ ...this.#options, data }));
    const receipts = await this.#queue.publishMany(jobs).catch((error) => {
      // All jobs are checked before the first one is sent.
      if (isRefusedArgument(error)) this.#sent = before;
      throw error;
    });
    const open = lines.filter((_, i) => !receipts?.[i]);
    this.published += lines.length - open.length;
    if (open.length > 0) throw unconfirmed(open);
    this.#confirmed = last;
  }
}

function isRefusedArgument(error: unknown): boolean {
  return error instanceof RangeError || error instanceof TypeError;
}

function unconfirmed(lines: InputLine[]): CommandFailure {
  const more = lines.length === 1 ? " is" : ` and ${lines.length - 1} more are`;
  return new CommandFailure(`line ${lines[0].number}${more} not confirmed: no answer from NATS`, EXIT.noConnection);
}
