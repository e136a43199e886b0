import { wrong } from "../checks.ts";
import type { Settings } from "../settings.ts";

/** Printable ASCII without what separates tokens or stands for others. */
const TOKEN = "[!-)+,\\-/-=?-~]+";
const DOMAIN = new RegExp(`^${TOKEN}$`);
const PREFIX = new RegExp(`^${TOKEN}(\\.${TOKEN})*$`);

/** Bytes that a prefix may have: subjects of keys and names have to fit behind it. */
const MAX_LENGTH = 200;

/** Where the API of JetStream is: in a domain, or under a prefix. */
interface ApiOptions {
  domain?: string;
  apiPrefix?: string;
}

/** How messages call the two. */
export interface ApiPrefixNames {
  domain: string;
  apiPrefix: string;
}

/**
 * Checks a JetStream domain or a prefix of the JetStream API.
 *
 * @throws {RangeError} If one is malformed, or both are given.
 */
export function checkApiPrefix(
  { domain, apiPrefix }: ApiOptions,
  called: ApiPrefixNames,
): void {
  if (domain !== undefined && !(DOMAIN.test(domain) && domain.length <= MAX_LENGTH)) {
    throw wrong(
      RangeError,
      `connect as ${called.domain} must be one token of a subject, at most ${MAX_LENGTH} bytes`,
      domain,
    );
  }
  if (apiPrefix !== undefined && !(PREFIX.test(apiPrefix) && apiPrefix.length <= MAX_LENGTH)) {
    throw wrong(
      RangeError,
      `connect as ${called.apiPrefix} must be a subject without wildcards, at most ${MAX_LENGTH} bytes`,
      apiPrefix,
    );
  }
  if (domain !== undefined && apiPrefix !== undefined) {
    throw new RangeError(
      `Cannot connect as ${called.domain} and ${called.apiPrefix} must not both be given: a domain is the prefix $JS.${domain}.API`,
    );
  }
}

/** Defaults without the prefix of the JetStream API, where the options say another one, in whichever way. */
export function withoutOther<O extends ApiOptions>(defaults: O, { domain, apiPrefix }: ApiOptions): O {
  if (domain === undefined && apiPrefix === undefined) return defaults;
  return { ...defaults, domain: undefined, apiPrefix: undefined };
}

const VARIABLES: ApiPrefixNames = { domain: "SUPERCHECK_NATS_DOMAIN", apiPrefix: "SUPERCHECK_NATS_API_PREFIX" };

/**
 * The prefix of the JetStream API that checked options, or without servers and a prefix among them the environment, name.
 *
 * @returns `undefined`: that of the connected server.
 * @throws {RangeError} If a variable is malformed, or both are set.
 */
export function apiPrefixOf(options: ApiOptions & { servers?: unknown }, settings: Settings): string | undefined {
  let { domain, apiPrefix } = options;
  if (domain === undefined && apiPrefix === undefined && options.servers === undefined) {
    domain = settings.text(VARIABLES.domain);
    apiPrefix = settings.text(VARIABLES.apiPrefix);
    checkApiPrefix({ domain, apiPrefix }, VARIABLES);
  }
  return apiPrefix ?? (domain === undefined ? undefined : `$JS.${domain}.API`);
}
