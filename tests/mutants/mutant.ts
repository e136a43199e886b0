/** A careful change of the meaning of one place, which tests are to notice. */
export interface Mutant {
  /** What the changed code does wrong. */
  does: string;
  /** Path of the changed file. */
  file: string;
  /** Text that is there once. */
  find: string;
  replace: string;
  /** Paths of the tests that are to notice. */
  tests: string[];
}
