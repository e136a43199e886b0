import { CommandFailure, EXIT } from "./command_failure.ts";
import type { Screen } from "./terminal/screen.ts";

/**
 * Prints what is stored: as it is, but on a terminal only text, with what the terminal would obey escaped, and with the end of a line behind it.
 *
 * @param what What it is, for the message.
 * @throws {CommandFailure} If it is no text, and standard output is a terminal.
 */
export async function printStored(
  screen: Screen,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  what: string,
): Promise<void> {
  if (!screen.isTerminal || screen.raw) {
    for await (const chunk of chunks) screen.write(chunk);
    return;
  }
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (cause) {
      const advice = "redirect the output, or use --raw to write it to the terminal as it is";
      throw new CommandFailure(`${what} is no text: ${advice}`, EXIT.usage, { cause });
    }
  };
  let last = "\n";
  const write = (text: string) => {
    screen.writeText(text);
    last = text.at(-1) ?? last;
  };
  for await (const chunk of chunks) write(decode(chunk));
  write(decode());
  if (last !== "\n") screen.writeText("\n");
}
