import { Option } from "commander";

/** The option that picks one priority. */
export function priorityOption(description: string): Option {
  return new Option("--priority <priority>", description).choices(["high", "normal", "low"]);
}
