/** Milliseconds for which a limit that was learned holds: the server's configuration may change. */
const LEARNED_MS = 600_000;

/** What the server says before it closes a connection over which a longer line was sent than it takes. */
const EXCEEDED = /maximum control line exceeded/i;

/**
 * The length of subjects that the server takes (`max_control_line`). The server does not announce it: it closes the connection at the first line that is
 * longer. So that one long name costs one connection and not each next one too, what was refused is not sent again.
 */
export class ControlLine {
  #limit = Infinity;
  #until = 0;
  /** The longest subject and reply subject that were sent over the present connection. */
  #longest = 0;

  /** A connection begins. */
  begin(): void {
    this.#longest = 0;
  }

  /**
   * Checks a subject and its reply subject before they are sent.
   *
   * @throws {RangeError} If the server has closed a connection because of one that was no longer.
   */
  check(subject: string, reply: string): void {
    const length = subject.length + reply.length;
    if (length <= this.#longest) return;
    if (this.fits(subject, reply)) this.#longest = length;
    else throw tooLong(subject);
  }

  /** Whether the server may take a subject and its reply subject. */
  fits(subject: string, reply: string): boolean {
    return subject.length + reply.length < this.#limit || performance.now() > this.#until;
  }

  /** The server reported an error; returns whether a line was too long. */
  reported(message: string): boolean {
    if (!EXCEEDED.test(message) || this.#longest === 0) return false;
    this.#limit = this.#longest;
    this.#until = performance.now() + LEARNED_MS;
    return true;
  }
}

/** What to throw for a subject that the server does not take. */
export function tooLong(subject: string): RangeError {
  return new RangeError(
    `Cannot send on a subject of ${subject.length} bytes as the server closes the connection: use shorter names, or raise its max_control_line`,
  );
}
