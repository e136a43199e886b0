import type { PublishOptions } from "../../../mod.ts";
import { CommandFailure, EXIT, reasonOf } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { openInput } from "../input.ts";
import { Progress } from "../terminal/progress.ts";
import { count } from "../terminal/text.ts";

/** Jobs that are published at a time. */
const BATCH = 500;

/**
 * Publishes one job for each line of a file or of standard input, as they come; empty lines are left out.
 *
 * @throws {CommandFailure} If a line is not JSON, or jobs are not confirmed; it says how many are in the queue.
 */
export async function publishLines(
  line: CommandLine,
  queue: string,
  file: string | undefined,
  options: PublishOptions,
): Promise<void> {
  const { stream } = await openInput(file, line.signal);
  await line.withNats(async ({ stores }) => {
    let published = 0;
    using _progress = new Progress(line.screen, () => `${count(published, "job")} published …`);
    const jobs = stores.jobQueue(queue);
    for await (const batch of batches(stream, () => published)) {
      const receipts = await jobs.publishMany(batch.map((data) => ({ ...options, data })));
      const confirmed = receipts?.filter((receipt) => receipt !== null).length ?? 0;
      published += confirmed;
      if (confirmed < batch.length) {
        throw new CommandFailure(
          `${count(published, "job")} published, then ${batch.length - confirmed} not confirmed: no answer from NATS`,
          EXIT.noConnection,
        );
      }
    }
    line.print({ queue, published }, () => [`${count(published, "job")} published`]);
  });
}

async function* batches(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  published: () => number,
): AsyncGenerator<unknown[], void> {
  let batch: unknown[] = [];
  let number = 0;
  for await (const text of linesOf(stream)) {
    number++;
    if (text.trim() === "") continue;
    try {
      batch.push(JSON.parse(text));
    } catch (error) {
      const left = `${count(published(), "job")} of the lines before are published`;
      throw new CommandFailure(`line ${number} is not JSON: ${reasonOf(error)}; ${left}`);
    }
    if (batch.length === BATCH) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
