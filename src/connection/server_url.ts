/** One server to connect to. */
export interface TargetServer {
  /** What the NATS client takes; without user and password, so that it may be told. */
  url: string;
  /** `name:port`. */
  host: string;
  websocket: boolean;
}

/** A server as it was written down. */
export interface WrittenServer extends TargetServer {
  /** Whether TLS was asked for. */
  secure: boolean;
  user: string | undefined;
  password: string | undefined;
}

const PORTS: Record<string, number> = { "nats:": 4222, "tls:": 4222, "ws:": 80, "wss:": 443 };

/** Reads `host`, `host:port` or a URL, with or without user and password; `null` if it is none. */
export function serverUrl(text: string): WrittenServer | null {
  const url = URL.parse(text.includes("://") ? text : `nats://${text}`);
  if (!url || !(url.protocol in PORTS)) return null;
  // Only under a scheme that it knows does the parser spell a name as DNS has it.
  const name = URL.parse(`http://${url.hostname}`)?.hostname;
  const user = decoded(url.username);
  const password = decoded(url.password);
  if (!name || url.port === "0" || user === null || password === null) return null;
  const websocket = url.protocol.startsWith("ws");
  const host = `${name}:${url.port || PORTS[url.protocol]}`;
  return {
    url: websocket ? `${url.protocol}//${host}${url.pathname === "/" ? "" : url.pathname}` : host,
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
