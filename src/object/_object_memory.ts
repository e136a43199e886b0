import { Turns } from "../bucket/turns.ts";
import { OwnSequences } from "./_own_sequences.ts";
import { ReplacedVersions } from "./_replaced_versions.ts";

/** The newest info of a name. */
export interface Newest {
  /** Sequence; 0: there is none. */
  sequence: number;
  /** The version that it names: its chunks are orphaned when it is replaced, unless another info names it. */
  nuid?: string;
}

/** An info that this process has stored, until the moment of `performance.now()` by which it has expired. */
export interface KnownInfo extends Newest {
  /** Sequence of the first info that named its version; 0: not known, as another process has stored that. */
  since: number;
  until: number;
}

/** What a process remembers of one object bucket, whichever handles it has. */
export class ObjectMemory {
  /** The infos that this process has stored, by subject. */
  readonly infos: Map<string, KnownInfo> = new Map();
  readonly ownSequences: OwnSequences = new OwnSequences();
  readonly turns: Turns = new Turns();
  readonly replaced: ReplacedVersions = new ReplacedVersions();
}
