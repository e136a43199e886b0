import { findProgram, runProgram } from "./_private_program.ts";
import type { Sample } from "./_sampling.ts";

/** Where the official Go program is, or `null`: `NATS_CLI` in the environment, then PATH, then where `go install` puts it. */
export function findNatsCli(): string | null {
  return Deno.env.get("NATS_CLI") || findProgram("nats", [`${Deno.env.get("HOME")}/go/bin`]);
}

/** `nats bench`: its own measurements, over as many connections as it has clients. */
export class NatsBench {
  readonly #program: string;
  readonly #url: string;

  constructor(program: string, url: string) {
    this.#program = program;
    this.#url = url;
  }

  /** Runs `nats bench` with these words; calls per second of all clients. */
  async rate(...words: string[]): Promise<Sample> {
    const output = await this.#run(words);
    const all = /aggregated stats: ([\d,.]+) msgs\/sec/.exec(output) ?? / stats: ([\d,.]+) msgs\/sec/.exec(output);
    return { value: numberOf(all?.[1], output) };
  }

  /** The same with one client; microseconds of its calls. */
  async latency(...words: string[]): Promise<Sample> {
    const output = await this.#run(words);
    const at = (share: string) => numberOf(new RegExp(`P${share}: ([\\d,.]+)us`).exec(output)?.[1], output);
    return { value: at("50"), p99: at("99") };
  }

  async #run(words: string[]): Promise<string> {
    return await runProgram(this.#program, ["--no-context", "-s", this.#url, "bench", ...words, "--no-progress"]);
  }
}

function numberOf(text: string | undefined, output: string): number {
  if (text === undefined) throw new Error(`nats bench said something else than expected: ${output.slice(-1000)}`);
  return Number(text.replaceAll(",", ""));
}
