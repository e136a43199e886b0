/** What a job carries here. */
export interface Payload {
  text: string;
}

/** The jobs of a measure. */
export interface JobLoad {
  title: string;
  text: string;
  /** How many jobs wait all the time. */
  waiting: number;
}

/** A peer that keeps jobs and hands each to a worker. */
export interface QueuePeer {
  peer: string;
  /** How its worker differs. */
  workerNote?: string;
  /** Adds a job; returns when that is confirmed. */
  add(data: Payload): Promise<unknown>;
  /** Adds many at once. */
  addMany(jobs: Payload[]): Promise<unknown>;
  /** Starts a worker with a handler that does nothing but call `started`. */
  work(concurrency: number, started: () => void): Promise<Work>;
  /** Jobs that are there, the running ones included. */
  count(): Promise<number>;
  /** Removes all jobs; no worker runs. */
  clear(): Promise<unknown>;
}

/** A running worker. */
export interface Work {
  /** Jobs that are done, as far as their confirmations have come. */
  done(): number;
  /** Stops; what runs ends before. */
  stop(): Promise<unknown>;
}

/** How many jobs {@linkcode fill} adds at once, and how many such calls it has in flight. */
const BATCH = 500;
const IN_FLIGHT = 4;

/** Adds jobs until there are so many. */
export async function fill(peer: QueuePeer, data: Payload, wanted: number): Promise<void> {
  let missing = wanted - await peer.count();
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (missing > 0) {
      const some = Math.min(BATCH, missing);
      missing -= some;
      await peer.addMany(new Array(some).fill(data));
    }
  }));
}
