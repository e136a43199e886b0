import { Unavailable } from "../connection/unavailable.ts";
import { settledWithin } from "../delay.ts";

/** Lets this process change one subject at a time: without that its own writes would refuse each other again and again. */
export class Turns {
  /** The last of the work on each subject that is under way. */
  readonly #last: Map<string, Promise<unknown>> = new Map();

  /**
   * Runs work once all earlier work on the same subject has ended.
   *
   * @param deadline The moment of `performance.now()` by which it must have begun.
   * @throws {Unavailable} If it has not: it does nothing then.
   */
  take<T>(subject: string, deadline: number, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(subject);
    return before ? this.#behind(before, subject, deadline, work) : this.#run(subject, work());
  }

  async #behind<T>(before: Promise<unknown>, subject: string, deadline: number, work: () => Promise<T>): Promise<T> {
    const next = () => {
      if (performance.now() < deadline) return work();
      throw tooLate();
    };
    const mine = this.#run(subject, before.then(next, next));
    await settledWithin(before, deadline - performance.now());
    if (performance.now() >= deadline) throw tooLate();
    return await mine;
  }

  #run<T>(subject: string, work: Promise<T>): Promise<T> {
    const done = () => {
      if (this.#last.get(subject) === work) this.#last.delete(subject);
    };
    work.then(done, done);
    this.#last.set(subject, work);
    return work;
  }
}

function tooLate(): Unavailable {
  return new Unavailable("timeout", "Other writes on the same subject took too long");
}
