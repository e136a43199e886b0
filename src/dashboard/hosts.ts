import { wrongType } from "../checks.ts";

/** Names and addresses of this machine as a browser on it writes them. */
const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Decides by the host that a request names, without its port. */
export type AcceptsHost = (host: string) => boolean;

/**
 * Which hosts a dashboard answers to.
 *
 * @throws {TypeError} If a name is none.
 */
export function acceptedHosts(hosts: unknown, hasAuthorize: boolean, doing: string): AcceptsHost {
  if (hosts === undefined) return hasAuthorize ? () => true : (host) => LOOPBACK.test(host);
  if (!Array.isArray(hosts) || hosts.length === 0) {
    throw wrongType(`${doing} as 'hosts' must be a list of names`, hosts);
  }
  const names = new Set(hosts.map((host) => {
    const name = typeof host === "string" ? hostOf(host) : undefined;
    if (name === undefined) throw wrongType(`${doing} as 'hosts' must be names or addresses without a port`, host);
    return name;
  }));
  return (host) => names.has(host);
}

/** The host that a request names, in lower case and without its port. */
export function requestedHost({ headers, url }: Request): string {
  const { host, hostname } = new URL(url);
  const asked = headers.get("host");
  return asked === null || asked === host ? hostname : URL.parse(`http://${asked}`)?.hostname ?? "";
}

function hostOf(name: string): string | undefined {
  const url = URL.parse(`http://${name}/`);
  return url !== null && url.pathname === "/" && !/[:/?#@\s]/.test(name.replace(/^\[[\da-f:.]+\]$/i, "v6"))
    ? url.hostname
    : undefined;
}
