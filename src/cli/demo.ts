/**
 * The main job, to be seen: `deno task demo`.
 * @module
 */
import { CommanderError } from "commander";
import { demoArguments } from "./demo/demo_arguments.ts";
import { runDemo } from "./demo/run_demo.ts";
import { Interruption } from "./interruption.ts";
import { Screen } from "./terminal/screen.ts";
import { messageOf } from "../shown.ts";

async function demo(args: string[]): Promise<number> {
  const screen = new Screen();
  using interruption = new Interruption();
  try {
    const options = demoArguments(args);
    const signal = AbortSignal.any([interruption.signal, screen.readerGone]);
    const worked = await runDemo(options, screen, signal);
    // A watch has no other end.
    if (signal.aborted) return options.watch ? 0 : interruption.exitCode;
    return worked ? 0 : 1;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (interruption.signal.aborted) return interruption.exitCode;
    screen.note(`${screen.noteColours.red("error:")} ${messageOf(error)}`);
    // The library's word for a malformed variable of the environment.
    return error instanceof RangeError ? 2 : 1;
  }
}

if (import.meta.main) Deno.exitCode = await demo(Deno.args);
