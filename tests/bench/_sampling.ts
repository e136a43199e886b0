import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What one sample of a peer says. */
export interface Sample {
  /** The figure that is compared: calls per second, or microseconds of the median call, … */
  value: number;
  /** The 99th percentile, where single calls were timed. */
  p99?: number;
}

/** How long a sample goes on. */
export interface SampleLimits {
  /** Milliseconds. */
  time: number;
  /** Calls. */
  calls?: number;
  /** Throws if the result of a call is wrong. */
  check?: (result: unknown) => void;
}

/** One call of what is measured; gets the number of the call. A result of `null` is a failure. */
export type Call = (index: number) => Promise<unknown>;

/** Times single calls of one caller, in microseconds. */
export async function sampleLatency(call: Call, limits: SampleLimits): Promise<Sample> {
  const { time, calls = Infinity, check } = limits;
  const took: number[] = [];
  const end = performance.now() + time;
  for (let before = performance.now(); before < end && took.length < calls;) {
    const result = await call(took.length);
    const after = performance.now();
    took.push((after - before) * 1000);
    if (result === null) throw new Error("a call failed");
    check?.(result);
    before = performance.now();
  }
  return percentiles(took);
}

/** The median and the 99th percentile. */
export function percentiles(values: number[]): Sample {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { value: at(0.5), p99: at(0.99) };
}

/** Counts the calls per second of so many callers at once, each with one call in flight. */
export async function sampleThroughput(call: Call, inFlight: number, limits: SampleLimits): Promise<Sample> {
  const { time, calls = Infinity, check } = limits;
  let started = 0;
  const begin = performance.now();
  const end = begin + time;
  const ends = await Promise.allSettled(Array.from({ length: inFlight }, async () => {
    while (performance.now() < end && started < calls) {
      const result = await call(started++);
      if (result === null) throw new Error("a call failed");
      check?.(result);
    }
  }));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
  return { value: started / (performance.now() - begin) * 1000 };
}

/** The middle of some figures. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

setFlagsFromString("--expose-gc");

/**
 * Collects all garbage, to count what is still in use. Not before a sample of speed: what follows runs a quarter slower, as the space for young
 * objects starts small again.
 */
export const collectGarbage: () => void = runInNewContext("gc");

/**
 * Waits for a sample, but not for ever.
 *
 * @throws {Error} If it takes longer than so many milliseconds.
 */
export async function within<T>(time: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${time / 1000} s`)), time);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A text of so many characters, the same at every call. */
export function textOf(size: number): string {
  return '{"status":200,"body":"'.padEnd(size - 2, "Lorem ipsum dolor sit amet. ") + '"}';
}
