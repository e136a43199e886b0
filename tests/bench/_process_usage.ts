/** Clock ticks of `/proc` in a second: Linux reports 100 to programs on every machine. */
const TICKS_PER_SECOND = 100;

/** What a process has used. */
export interface ProcessUsage {
  /** Seconds of CPU of all its threads, since it started. */
  cpu: number;
  /** Resident bytes. */
  resident: number;
  /** The most resident bytes since it started, or since {@linkcode resetPeak}. */
  peak: number;
}

/** Reads what a process has used, from `/proc`: it takes Linux. */
export function usageOf(pid: number): ProcessUsage {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name in parentheses may have spaces; behind it, the 12th and 13th fields are the ticks in user mode and in the kernel.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    resident: bytes("VmRSS"),
    peak: bytes("VmHWM"),
  };
}

/** Lets the most resident bytes of a process count from now on. */
export function resetPeak(pid: number): void {
  Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** What a process uses meanwhile: CPU in seconds, the most resident bytes, and the seconds that it takes. */
export async function usedMeanwhile(pid: number, work: () => Promise<unknown>): Promise<{
  cpu: number;
  peak: number;
  took: number;
}> {
  resetPeak(pid);
  const before = usageOf(pid);
  const begin = performance.now();
  await work();
  const took = (performance.now() - begin) / 1000;
  const after = usageOf(pid);
  return { cpu: after.cpu - before.cpu, peak: after.peak, took };
}
