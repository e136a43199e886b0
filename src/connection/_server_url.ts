/** One server to connect to. */
export interface TargetServer {
  /** What the NATS client takes; without user and password, so that it may be shown. */
  url: string;
  /** `name:port`. */
  host: string;
  websocket: boolean;
}

/** A server as it was configured. */
export interface ConfiguredServer extends TargetServer {
  /** Whether TLS is required. */
  secure: boolean;
  user: string | undefined;
  password: string | undefined;
}

/** Default port of each scheme. */
const PORTS: Record<string, number> = { "nats:": 4222, "tls:": 4222, "ws:": 80, "wss:": 443 };

const RESERVED = "has a character that must be percent-encoded (in a user or password: # %23, / %2F, ? %3F)";

/**
 * Parses `host`, `host:port` or a URL, with or without user and password.
 *
 * @returns The server, or what is wrong with the text: a sentence's predicate that shows no part of it, as any part may be a secret.
 */
export function serverUrl(text: string): ConfiguredServer | string {
  // The parser would drop tabs and line breaks, and so change a password.
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(text)) return "has a control character";
  const url = URL.parse(text.includes("://") ? text : `nats://${text}`);
  if (!url) return "is no URL with a host and a port from 1 to 65535";
  if (!Object.hasOwn(PORTS, url.protocol)) return "has another scheme";
  const websocket = url.protocol.startsWith("ws");
  const path = url.pathname === "/" ? "" : url.pathname;
  // A password with one of these characters looks as if it were behind the host: "nats://user:12#34@host".
  if (url.search || url.hash || /[@\\]/.test(path) || (path && !websocket)) return RESERVED;
  // The parser spells a name as DNS has it only under a known scheme.
  const name = URL.parse(`http://${url.hostname}`)?.hostname;
  if (!name) return "has no valid host name";
  if (url.port === "0") return "has port 0";
  const [user, password] = [decoded(url.username), decoded(url.password)];
  if (user === null || password === null) return "has a % that is no percent-encoding (a plain one is %25)";
  const host = `${name}:${url.port || PORTS[url.protocol]}`;
  return {
    url: websocket ? `${url.protocol}//${host}${path}` : host,
    host,
    websocket,
    secure: url.protocol === "tls:",
    user: user || undefined,
    password: password || undefined,
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
