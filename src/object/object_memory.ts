import { OwnRun } from "./own_run.ts";
import { SuspectChunks } from "./suspect_chunks.ts";

/** The newest info of a name. */
export interface Newest {
  /** Sequence; 0: there is none. */
  sequence: number;
  /** The version that it makes an object: nobody needs its chunks when it is replaced, unless another info names it. */
  nuid?: string;
}

/** An info that this process has stored, until the moment of `performance.now()` by which it has expired. */
export interface KnownInfo extends Newest {
  until: number;
}

/** What a process remembers of one object bucket, whichever handles it has. */
export class ObjectMemory {
  /** The infos that this process has stored, by subject. */
  readonly infos: Map<string, KnownInfo> = new Map();
  readonly run: OwnRun = new OwnRun();
  readonly suspects: SuspectChunks = new SuspectChunks();
}
