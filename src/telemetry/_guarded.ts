import { diag } from "@opentelemetry/api";

/**
 * Calls the process's telemetry provider. What it throws must not fail the operation that is observed, and goes to OpenTelemetry's own
 * diagnostics (`diag.setLogger`).
 *
 * @param fallback Returned if it throws.
 */
export function guarded<R>(callback: () => R, fallback: R): R {
  try {
    return callback();
  } catch (error) {
    reportFailure(error);
    return fallback;
  }
}

/** Reports a failure of telemetry to OpenTelemetry's own diagnostics. */
export function reportFailure(error: unknown): void {
  try {
    diag.error("@supercheck/jetstream could not report to the telemetry provider", error);
  } catch {
    // The logger of the diagnostics is broken, too: there is nowhere left to report it.
  }
}
