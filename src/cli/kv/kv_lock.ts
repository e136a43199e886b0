import type { Command } from "commander";
import type { KvLock } from "../../../mod.ts";
import { CommandFailure } from "../command_failure.ts";
import type { CommandLine } from "../command_line.ts";
import { duration, durationOption } from "../option_values.ts";
import { openForWriting } from "../open_for_writing.ts";
import { spawnProgram } from "../spawn_program.ts";
import { bucketOption, OWN_BUCKETS } from "../bucket_option.ts";

interface LockOptions {
  bucket: string;
  wait?: number;
  lease: number;
}

/** `kv lock`: runs a program while it holds a lock. */
export function kvLock(kv: Command, line: CommandLine): void {
  kv.command("lock")
    .description("run a program while nobody else holds the lock; its exit code is the program's")
    .argument("<key>", "the key that is locked")
    .argument("<program...>", "the program and its arguments, behind --")
    .addOption(bucketOption("kv"))
    .option("--wait <duration>", "how long to wait for the lock, e.g. 30s; without it, not at all", duration)
    .addOption(durationOption("--lease", "how long the lock outlives a process that dies", "10s"))
    .addHelpText(
      "after",
      `
The lock is renewed while the program runs. If it is lost, the program gets
SIGTERM, and SIGKILL a tenth of the lease later. SUPERCHECK_LOCK_FENCE is a
number that is higher for each later holder of the lock.

Exit codes: the program's; 1 if somebody else holds the lock, or it was lost.

Examples:
  cli kv lock nightly -- ./backup.sh --all
  cli kv lock deploy --wait 10m -- make deploy`,
    )
    .action(async (key: string, program: string[], { bucket: name, wait, lease }: LockOptions) =>
      await line.withNats(async (nats) => {
        const open = (ttl?: number) => nats.stores.kvBucket(name, ttl === undefined ? {} : { ttl });
        const bucket = await openForWriting(nats, line, open, OWN_BUCKETS.kv);
        await using lock = await nats.ask(bucket.lock(key, { lease, wait, signal: line.signal }));
        if (!lock) throw new CommandFailure(`somebody else holds the lock "${key}"`);
        line.exitCode = await runLocked(lock, program, lease, line.signal);
        if (lock.signal.aborted) throw new CommandFailure(`the lock "${key}" was lost, and the program was ended`);
      }, { outlivesInterruption: true })
    );
}

/** Runs a program until it ends, the lock is lost, or the user interrupts it; gives its exit code. */
async function runLocked(
  lock: KvLock,
  [program, ...args]: string[],
  lease: number,
  interrupted: AbortSignal,
): Promise<number> {
  const child = spawnProgram(program, { args, env: { SUPERCHECK_LOCK_FENCE: String(lock.fence) } });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch (error) {
      // It has just ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
  };
  const lost = () => {
    kill("SIGTERM");
    timer = setTimeout(() => kill("SIGKILL"), lease / 10);
  };
  const interrupt = () => kill("SIGTERM");
  lock.signal.addEventListener("abort", lost);
  interrupted.addEventListener("abort", interrupt);
  if (lock.signal.aborted) lost();
  if (interrupted.aborted) interrupt();
  try {
    return (await child.status).code;
  } finally {
    clearTimeout(timer);
    lock.signal.removeEventListener("abort", lost);
    interrupted.removeEventListener("abort", interrupt);
  }
}
