import { errors } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";

/** A {@linkcode JetStreamStoreError} where a person has to mend something, else an error that says what is away. */
export function dialFailure(error: unknown, server: string): Error {
  if (error instanceof JetStreamStoreError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = "code" in cause ? String(cause.code) : "";
  const reason = cause.message || code || cause.name;
  if (isRefusal(cause)) {
    return new JetStreamStoreError(
      "auth",
      `NATS at ${server} refused the credentials (${reason}): check SUPERCHECK_NATS_CREDS, _TOKEN, _USER, _PASSWORD or _NKEY_SEED`,
      { cause },
    );
  }
  if (cause.name === "NotCapable") {
    return new JetStreamStoreError(
      "net_permission",
      `The runtime does not allow the connection to NATS at ${server} (${reason})`,
      { cause },
    );
  }
  // Errors of the system tell host names, which may contain anything.
  if (!/^E[A-Z]+$/.test(code) && /cert|tls|ssl|alert|self.signed/i.test(`${code} ${reason}`)) {
    return new JetStreamStoreError(
      "tls",
      `TLS with NATS at ${server} failed (${reason}): check SUPERCHECK_NATS_TLS_CA, _CERT and _KEY`,
      { cause },
    );
  }
  return new Error(`NATS at ${server} is away (${reason})`, { cause });
}

function isRefusal(error: Error): boolean {
  return error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError ||
    (error instanceof errors.ProtocolError && /authenti|authoriz/i.test(error.message));
}
