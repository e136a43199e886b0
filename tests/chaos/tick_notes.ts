/** A tick of the schedule that a worker ran. */
export interface TickNote {
  at: number;
  pid: number;
}
