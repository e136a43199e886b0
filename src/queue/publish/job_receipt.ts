/**
 * The server's word that it keeps a job.
 *
 * @category Jobs
 */
export interface JobReceipt {
  /** The job's id. */
  id: string;
  /** Its queue. */
  queue: string;
  /** Sequence of its message in the queue's stream. */
  sequence: number;
  /** Whether a job of this id was there already, or this publish was a repeat: nothing was added. */
  duplicate: boolean;
}
