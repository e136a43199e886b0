import { CommandFailure, EXIT } from "./command_failure.ts";
import { messageOf } from "../shown.ts";

/** What a command is given: its size is known of files only. */
export interface Input {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  size: number | null;
}

/**
 * Opens a file; `-` or none is standard input.
 *
 * @param signal Breaks the stream off: Ctrl-C ends what writes into a pipe, too, which must not look like the end of the input.
 * @throws {CommandFailure} If the file cannot be read, or standard input is a terminal.
 */
export async function openInput(path: string | undefined, signal: AbortSignal): Promise<Input> {
  const { stream, size } = await open(path);
  return { stream: stream.pipeThrough(new TransformStream(), { signal }), size };
}

/** All the bytes of a file or of standard input. */
export async function readInput(path: string | undefined, signal: AbortSignal): Promise<Uint8Array> {
  const { stream } = await openInput(path, signal);
  return await new Response(stream).bytes();
}

async function open(path: string = "-"): Promise<Input> {
  if (path === "-") {
    if (Deno.stdin.isTerminal()) {
      throw new CommandFailure("there is nothing to read: name a file, or pipe something in", EXIT.usage);
    }
    return { stream: Deno.stdin.readable, size: null };
  }
  try {
    const file = await Deno.open(path);
    const { size, isFile } = await file.stat();
    if (!isFile) {
      file.close();
      throw new CommandFailure(`cannot read ${path}: it is no file`);
    }
    return { stream: file.readable, size };
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(`cannot read ${path}: ${messageOf(error)}`);
  }
}
