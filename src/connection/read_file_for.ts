import { readFile } from "node:fs/promises";
import { JetStreamStoreError } from "../errors.ts";
import { isAllowed } from "./permission.ts";

/**
 * Reads a file of credentials or certificates.
 *
 * @param code What is refused without it.
 * @throws {JetStreamStoreError} If it cannot be read.
 */
export async function readFileFor(code: "auth" | "tls", path: string): Promise<Uint8Array> {
  if (!isAllowed({ name: "read", path })) {
    throw new JetStreamStoreError(
      "net_permission",
      `The runtime does not allow to read the file ${path}: run with --allow-read=${path}`,
    );
  }
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : cause;
    throw new JetStreamStoreError(code, `The file ${path} cannot be read: ${reason}`, { cause });
  }
}
