/** What {@linkcode tlsFailure} says of a server that answers the handshake with something else. */
export const NO_TLS = "the server does not answer with TLS";

/** What TLS libraries say, by their codes or messages, and what it means. */
const REASONS: [RegExp, string][] = [
  [/ALERT_CERTIFICATE_EXPIRED|alert: ?CertificateExpired/i, "the client's certificate has expired"],
  [/ALERT_UNKNOWN_CA|alert: ?UnknownCA/i, "the server does not know the authority of the client's certificate"],
  [/certificate.?required/i, "the server requires a client certificate"],
  [
    /ALERT_(BAD|UNSUPPORTED)_CERTIFICATE|ALERT_CERTIFICATE|alert: ?\w*Certificate/i,
    "the server refused the client's certificate",
  ],
  [/CERT_HAS_EXPIRED|certificate.*\bexpired/i, "the server's certificate has expired"],
  [/CERT_NOT_YET_VALID|NotValidYet/i, "the server's certificate is not valid yet"],
  [/ALTNAME_INVALID|not.?valid.?for.?name/i, "the server's certificate is for another name"],
  [
    /UNABLE_TO_(VERIFY|GET)|SELF_SIGNED|UnknownIssuer|self.signed/i,
    "the server's certificate is of an unknown authority",
  ],
  [/WRONG_VERSION_NUMBER|InvalidContentType|does not support 'tls'/i, NO_TLS],
];

/**
 * Tells in plain words why TLS failed.
 *
 * @returns `null`, if the error is not about TLS.
 */
export function tlsFailure(code: string, message: string): string | null {
  // Errors of the system contain host names, which may contain anything.
  if (/^E[A-Z]+$/.test(code)) return null;
  const text = `${code} ${message}`;
  const reason = REASONS.find(([pattern]) => pattern.test(text))?.[1];
  if (reason !== undefined) return `${reason} (${message})`;
  return /cert|tls|ssl|alert/i.test(text) ? message : null;
}
