import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

const TYPE = "SHA-256=";

/** The digest of bytes, as ADR-20 spells it. */
export function digestOf(data: Uint8Array): string {
  return `${TYPE}${createHash("sha256").update(data).digest("base64url")}=`;
}

/** A digest that grows. */
export class Digest {
  readonly #hash = createHash("sha256");

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  /** The digest of all that came. */
  end(): string {
    return `${TYPE}${this.#hash.digest("base64url")}=`;
  }
}

/** Whether a stored digest says the same as one of ours: other clients have spelled it in other alphabets, without padding, and in hex. */
export function sameDigest(stored: string | null | undefined, ours: string): boolean {
  if (stored === ours) return true;
  if (!stored?.startsWith(TYPE)) return false;
  const text = stored.slice(TYPE.length);
  const bytes = /^[0-9A-Fa-f]{64}$/.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
  return `${TYPE}${bytes.toString("base64url")}=` === ours;
}
