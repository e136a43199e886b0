import { FIRING_MUTANTS } from "./_firing_mutants.ts";
import { FOUNDATION_MUTANTS } from "./_foundation_mutants.ts";
import type { Mutant } from "./mutant.ts";
import { QUEUE_MUTANTS } from "./_queue_mutants.ts";
import { STORE_MUTANTS } from "./_store_mutants.ts";
import { TELEMETRY_MUTANTS } from "./_telemetry_mutants.ts";

/** Careful changes by meaning, each of which a test has to notice. */
export const MUTANTS: Mutant[] = [
  ...FOUNDATION_MUTANTS,
  ...STORE_MUTANTS,
  ...QUEUE_MUTANTS,
  ...FIRING_MUTANTS,
  ...TELEMETRY_MUTANTS,
];
