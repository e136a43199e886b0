import type { JobHeaders } from "./job_headers.ts";
import type { Priority } from "./queue_names.ts";

/** What the message of a job says of it, as it is stored or was delivered. */
export interface JobMessage {
  readonly subject: string;
  /** The subject token of the job's id. */
  readonly token: string;
  readonly sequence: number;
  /** When it was stored, in nanoseconds: with the sequence it names the message also when the stream is made again and counts from 1. */
  readonly storedAt: string;
  readonly data: Uint8Array;
  readonly headers: JobHeaders;
  /** All that its headers say, those of the server included: what a copy of it takes along. */
  readonly allHeaders: JobHeaders;
  readonly priority: Priority;
  /** Whether a schedule made it. */
  readonly tick: boolean;
  /** When the job was first published. */
  readonly enqueuedAt: Date;
  /** Which firing of a delayed job made it, if one did. */
  readonly firing: string | undefined;
  /** That, and those that it supersedes: once this one has ended none of them is to run. */
  readonly firings: readonly string[];
}
