const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Whether a header belongs to the server or to this library. */
export function isReserved(name: string): boolean {
  return /^(nats|job)-/i.test(name);
}

/** Whether users may give a header of this name: it is a token that is not reserved. */
export function isOwnHeaderName(name: string): boolean {
  return HEADER_NAME.test(name) && !isReserved(name);
}
