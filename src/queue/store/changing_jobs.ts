/** Milliseconds for which a job counts as changing after that was announced: longer than the copy of a call waits that died. */
const CHANGING_MS = 120_000;

/** Announced jobs that are kept apart; beyond them every job counts as changing. */
const MAX_TOKENS = 10_000;

/**
 * Jobs of which a waiting message may be being replaced: who changes a waiting job announces that to all workers first. A worker that starts such a job
 * looks whether the message it got is still the one to run; all other jobs start without a look.
 *
 * A worker that begins to listen has missed what was announced before, so it lists the changes that are under way.
 */
export class ChangingJobs {
  /** Until when each job counts as changing, by `performance.now()`; the oldest announcement first. */
  readonly #until: Map<string, number> = new Map();
  #allUntil = -Infinity;
  /** Listeners that have not listed the changes yet which were under way as they began. */
  #unlisted = 0;

  /** Notes an announcement: the subject token of a job's id. */
  note(token: string): void {
    const now = performance.now();
    for (const [oldest, until] of this.#until) {
      if (until > now) break;
      this.#until.delete(oldest);
    }
    this.#until.delete(token);
    this.#until.set(token, now + CHANGING_MS);
    if (this.#until.size <= MAX_TOKENS) return;
    this.#until.clear();
    this.#allUntil = now + CHANGING_MS;
  }

  /**
   * Some announcements may not have arrived: every job counts as changing until the changes that are under way have been listed, and noted.
   *
   * @returns What tells whether they were.
   */
  doubt(): (isListed: boolean) => void {
    this.#unlisted++;
    return (isListed) => {
      this.#unlisted--;
      if (!isListed) this.#allUntil = performance.now() + CHANGING_MS;
    };
  }

  /** Whether a message of this job may be being replaced. */
  has(token: string): boolean {
    if (this.#unlisted > 0) return true;
    if (this.#until.size === 0 && this.#allUntil === -Infinity) return false;
    const now = performance.now();
    return now < this.#allUntil || now < (this.#until.get(token) ?? -Infinity);
  }
}
