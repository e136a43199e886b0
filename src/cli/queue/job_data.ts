import { CommandFailure, EXIT } from "../command_failure.ts";
import { messageOf } from "../../shown.ts";

/**
 * The data of a job that is given as JSON.
 *
 * @throws {CommandFailure} If it is none.
 */
export function parseData(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const hint = /^[\w.:/-]+$/.test(text) ? `; a text goes in quotes, too: '${JSON.stringify(text)}'` : "";
    throw new CommandFailure(`the data is not JSON: ${messageOf(error)}${hint}`, EXIT.usage);
  }
}
