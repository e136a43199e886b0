/** A run of a job with a key, from its start to its end, its failure, or the end of its process. */
export interface KeyedRun {
  key: string;
  /** The job's place among those of its key. */
  place: number;
  from: number;
  to: number;
  how: "end" | "fail" | "killed";
}

/** Reads what a worker wrote; runs that were cut off ended when it was killed. */
export function readRuns(text: string, killedAt: number): KeyedRun[] {
  const open = new Map<string, KeyedRun>();
  const runs: KeyedRun[] = [];
  for (const line of text.trim().split("\n").filter(Boolean)) {
    const [time, what, id] = line.split(" ");
    const [key, place] = id.split("-");
    if (what === "start") {
      const run: KeyedRun = { key, place: Number(place), from: Number(time), to: killedAt, how: "killed" };
      open.set(id, run);
      runs.push(run);
    } else Object.assign(open.get(id)!, { to: Number(time), how: what });
  }
  return runs;
}

/** What of the runs of one key breaks its order: a job before the one in front of it is done, or two at the same time. */
export function disorder(runs: readonly KeyedRun[]): string[] {
  const found: string[] = [];
  let done = -1;
  let last: KeyedRun | undefined;
  for (const run of runs.toSorted((a, b) => a.from - b.from)) {
    const name = `${run.key}-${run.place}`;
    if (last && run.from < last.to) found.push(`${name} started before ${last.key}-${last.place} was over`);
    // A job that was done may run once more, if its worker was killed before the server knew.
    if (run.place > done + 1 || run.place < done) found.push(`${name} ran when those up to ${done} were done`);
    if (run.how === "end") done = Math.max(done, run.place);
    last = run;
  }
  return found;
}
