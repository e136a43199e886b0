import { CommandFailure, EXIT, reasonOf } from "./command_failure.ts";

/** What a command is given: its size is known of files only. */
export interface Input {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  size: number | null;
}

/**
 * Opens a file; `-` or none is standard input.
 *
 * @throws {CommandFailure} If the file cannot be read, or standard input is a terminal where nobody would know what to type.
 */
export async function openInput(path: string = "-"): Promise<Input> {
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
    throw new CommandFailure(`cannot read ${path}: ${reasonOf(error)}`);
  }
}

/** All the bytes of a file or of standard input. */
export async function readInput(path?: string): Promise<Uint8Array> {
  const { stream } = await openInput(path);
  return await new Response(stream).bytes();
}
