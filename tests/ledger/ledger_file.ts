import type { Change } from "./plan.ts";

/** What a producer notes. */
export type PublishEntry =
  /** Before each call of publish. */
  | { what: "publish"; id: string; at: number; due: number; mayDie: boolean; maxAttempts: number }
  /** The call was confirmed. */
  | { what: "receipt"; id: string; at: number; sequence: number; duplicate: boolean }
  /** The call was `null`. */
  | { what: "unconfirmed"; id: string; at: number }
  /** A call of cancel, and what came of it. */
  | { what: "cancel"; id: string; at: number }
  /** A change of a delayed job, from the call of it to what came of it; `due`: the moment to which it was to be delayed. */
  | { what: "changed"; id: string; how: Change; due: number; at: number; answered: number; result: boolean | null }
  | { what: "cancelled"; id: string; at: number; result: boolean | null };

/** What a worker notes of a run: that it begins; that its effect is there; that the handler ends after it, or throws. */
export interface RunEntry {
  what: "start" | "effect" | "end" | "thrown" | "aborted";
  id: string;
  at: number;
  pid: number;
  /** Number of the run in its process. */
  run: number;
  sequence: number;
  deliveries: number;
  attempt: number;
  fence: number;
  /** Of the job's data: how often it was updated. */
  version?: number;
}

/** What was done to the others. `from`: before the blow. `at`: when it was certainly over. */
export type ChaosEntry =
  | { what: "worker_killed"; pid: number; from: number; at: number }
  /** `back`: when the server was there again. */
  | { what: "server_down"; how: "kill" | "stop"; from: number; at: number; back: number }
  /** A consumer was deleted: what it had delivered is delivered again, as new. */
  | { what: "deliveries_forgotten"; from: number; at: number }
  /** Calls of stores may be refused with a code. */
  | { what: "refusing"; code: string; from: number; at: number }
  | Outage;

/** A time in which a worker was suspended, could not reach the server, or only slowly. */
export interface Outage {
  what: "outage";
  how: "suspended" | "unreachable" | "slow";
  /** The worker's process; `null`: all of them. */
  pid: number | null;
  from: number;
  at: number;
}

export type Entry = PublishEntry | RunEntry | ChaosEntry;

/** Milliseconds, comparable between the processes of one machine. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** An append-only file of entries, of one process. */
export class LedgerFile<E> implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();

  constructor(folder: string, name: string) {
    this.#file = Deno.openSync(`${folder}/${name}.jsonl`, { append: true, create: true });
  }

  /** When it returns, the kernel has the line: what happens to this process afterwards does not take it back. */
  append(entry: E): void {
    const line = this.#encoder.encode(`${JSON.stringify(entry)}\n`);
    for (let written = 0; written < line.length;) written += this.#file.writeSync(line.subarray(written));
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * All entries of a folder.
 *
 * @throws {SyntaxError} If a line is broken; but the last one of a file may be, as its writer may have been killed.
 */
export function readLedgers<E = Entry>(folder: string): E[] {
  const entries: E[] = [];
  for (const { name } of Deno.readDirSync(folder)) {
    const lines = Deno.readTextFileSync(`${folder}/${name}`).split("\n");
    lines.pop();
    for (const line of lines) entries.push(JSON.parse(line));
  }
  return entries;
}
