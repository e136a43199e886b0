import type { MiddlewareHandler } from "hono";
import { type AcceptsHost, requestedHost } from "./hosts.ts";

/** What {@linkcode guard} lets pass. */
interface GuardOptions {
  acceptsHost: AcceptsHost;
  readOnly: boolean;
  authorize?: (request: Request) => boolean | Response | Promise<boolean | Response>;
}

/** Only what this site serves itself may be loaded, no site may frame it, and nothing it shows is kept by a proxy. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** The answer to a request for another host: of an operator behind a new proxy, or of a page whose name leads here (DNS rebinding). */
const WRONG_HOST =
  "This dashboard does not answer to this host name: it needs 'hosts' or 'authorize' for other names than those of loopback";

/** Stands before every route: who may come in, whether something may be changed, and from where. */
export function guard({ acceptsHost, readOnly, authorize }: GuardOptions): MiddlewareHandler {
  return async (context, next) => {
    const { raw } = context.req;
    if (!acceptsHost(requestedHost(raw))) return context.text(WRONG_HOST, 403);
    const answer = authorize ? await authorize(raw) : true;
    if (answer instanceof Response) return answer;
    if (answer !== true) return context.text("Access denied", 403);
    const reads = raw.method === "GET" || raw.method === "HEAD";
    if (!reads && raw.method !== "POST") return context.text("Only GET, HEAD and POST are served here", 405);
    if (!reads && readOnly) return context.text("This dashboard is read-only", 403);
    if (!reads && !isSameOrigin(raw)) {
      return context.text("Changes are taken from this dashboard's own pages only", 403);
    }
    await next();
    // The body of an answer to HEAD is not read: a stream of events would never end.
    if (raw.method === "HEAD") await context.res.body?.cancel();
    for (const [name, value] of Object.entries(HEADERS)) context.res.headers.set(name, value);
    if (!context.res.headers.has("cache-control")) context.res.headers.set("cache-control", "no-store");
  };
}

/**
 * Whether a browser says that the request comes from a page of this origin. Browsers that are too old to say so send `Origin` with each POST; what
 * sends neither is no browser, and could send anything.
 */
function isSameOrigin({ headers, url }: Request): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin") return false;
  const origin = headers.get("origin");
  if (origin === null) return site === "same-origin";
  // Behind a proxy the scheme may differ; the host is what the browser asked for.
  const host = headers.get("host") ?? new URL(url).host;
  return URL.canParse(origin) && new URL(origin).host === host;
}
