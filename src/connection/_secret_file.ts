import { readFile } from "node:fs/promises";
import { JetStreamStoreError } from "../errors.ts";
import { isAllowed } from "../settings.ts";
import { messageOf } from "../shown.ts";

/** The content of a file of credentials or certificates: PEM, a JWT, a seed, or base64 of PEM. */
const CONTENT = /[\r\n]|-----|^\s*(eyJ|S[A-Z][A-Z2-7]{40}|LS0tLS)/;

/**
 * Checks that a text can be a path, and is not the content of the file itself.
 *
 * @param called What it is called in messages.
 * @throws {RangeError} If it is not; the message does not show it.
 */
export function checkPath(path: string, called: string): void {
  if (!CONTENT.test(path) && path.length <= 4_096) return;
  throw new RangeError(
    `Cannot connect as ${called} must be the path of a file, not its content: the current value is not shown`,
  );
}

/**
 * Reads a file of credentials or certificates.
 *
 * @param code The code of the error if it cannot be read.
 * @throws {JetStreamStoreError} If it cannot be read.
 */
export async function readSecretFile(code: "auth" | "tls", path: string): Promise<Uint8Array> {
  if (!isAllowed({ name: "read", path })) {
    throw new JetStreamStoreError(
      "net_permission",
      `The runtime does not allow to read the file ${path}: run with --allow-read=${path}`,
    );
  }
  try {
    return await readFile(path);
  } catch (cause) {
    throw new JetStreamStoreError(code, `The file ${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
