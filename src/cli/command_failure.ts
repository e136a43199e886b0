/** What the exit codes mean: scripts go by them. */
export const EXIT = {
  ok: 0,
  /** Not found, refused, or not done. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** There is no connection to NATS, or no answer in time. */
  noConnection: 3,
};

/** Ends a command with a message for the user and an exit code. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandFailure";
    this.exitCode = exitCode;
  }
}
