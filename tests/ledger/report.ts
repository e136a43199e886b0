import type { LedgerResult } from "./run_ledger.ts";

const RESIDUALS = {
  1: "(1) its worker died between effect and acknowledgement",
  2: "(2) in flight when the single server was killed or a consumer deleted, or handed out as the server was stopped",
  3: "(3) its publish was repeated over a restart of the server, or after its id was forgotten",
  4: "(4) its worker was suspended or cut off for longer than its lease",
  5: "(5) processed and a dead letter, by another of these",
  7: "(7) a server went down, and kept a message of what had ended",
} as const;

/** The result as a table, with the jobs that ended twice by name. */
export function report({ counts, doubles, violations, left, took }: LedgerResult): string {
  const rows = Object.entries({ ...counts, "seconds": Math.round(took / 1_000) });
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)} ${String(value).padStart(8)}`);
  for (const [residual, why] of Object.entries(RESIDUALS)) {
    const ids = doubles.filter((double) => double.residual === Number(residual)).map(({ id }) => id);
    lines.push("", `${ids.length} jobs ended twice: ${why}`, ...(ids.length > 0 ? [`  ${ids.join(" ")}`] : []));
  }
  const problems = [...violations, ...left];
  lines.push("", problems.length === 0 ? "Nothing contradicts the contract" : "CONTRADICTIONS:", ...problems);
  return lines.join("\n");
}
