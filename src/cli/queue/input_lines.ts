import { CommandFailure } from "../command_failure.ts";
import { bytes } from "../terminal/text.ts";
import { messageOf } from "../../shown.ts";

/** One line of the input, with the data of its job. */
export interface InputLine {
  /** From 1; empty lines count, too. */
  number: number;
  data: unknown;
}

/** Characters of a line that are read: no server takes larger messages. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/**
 * The lines of an input that are not empty, each as JSON, in batches.
 *
 * @throws {CommandFailure} Behind the lines before, if one is not JSON, or too long.
 */
export async function* inputBatches(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  size: number,
): AsyncGenerator<InputLine[], void> {
  let batch: InputLine[] = [];
  let failure: unknown = null;
  try {
    for await (const line of inputLines(stream)) {
      batch.push(line);
      if (batch.length < size) continue;
      yield batch;
      batch = [];
    }
  } catch (error) {
    failure = error;
  }
  if (batch.length > 0 && (failure === null || failure instanceof CommandFailure)) yield batch;
  if (failure !== null) throw failure;
}

async function* inputLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<InputLine, void> {
  let number = 0;
  for await (const text of textLines(stream)) {
    number++;
    if (text.length > MAX_LINE_BYTES) throw new CommandFailure(`line ${number} has more than ${bytes(MAX_LINE_BYTES)}`);
    if (text.trim() === "") continue;
    try {
      yield { number, data: JSON.parse(text) };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new CommandFailure(`line ${number} is not JSON: ${messageOf(error)}`);
    }
  }
}

/** Gives of a line that is too long only the beginning. */
async function* textLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string, void> {
  let parts: string[] = [];
  let length = 0;
  const take = (text: string) => {
    if (length <= MAX_LINE_BYTES) parts.push(text);
    length += text.length;
  };
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      take(text.slice(start, end));
      yield parts.join("");
      [parts, length, start] = [[], 0, end + 1];
    }
    take(text.slice(start));
  }
  if (length > 0) yield parts.join("");
}
