import { type Authenticator, jwtAuthenticator, nkeys } from "@nats-io/nats-core";
import { JetStreamStoreError } from "../errors.ts";
import { readSecretFile } from "./_secret_file.ts";

/** The line in front of, or behind, a part of a file of credentials. */
const MARK = /^-{3,}.*-{3,}$/;

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Reads a `.creds` file: the JWT of a user and, behind it, the seed of the user's nkey. Line ends, blank lines, a byte order mark and the file's
 * encoding (UTF-8 or UTF-16) do not matter.
 *
 * @throws {JetStreamStoreError} If it cannot be read or has other content, of which the message shows nothing.
 */
export async function readCreds(path: string): Promise<Authenticator> {
  const [jwt = "", seed = ""] = partsOf(textOf(await readSecretFile("auth", path)));
  if (!JWT.test(jwt) || !isUserSeed(seed)) {
    // Without a cause, which might show what is in the file.
    throw new JetStreamStoreError(
      "auth",
      `The file ${path} holds no NATS credentials (a JWT and the seed of its user)`,
    );
  }
  return jwtAuthenticator(jwt, new TextEncoder().encode(seed));
}

/** Whether a text is the seed of a user's nkey (`SU…`). */
export function isUserSeed(seed: string): boolean {
  try {
    return nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey().startsWith("U");
  } catch {
    // The error might show a part of the seed.
    return false;
  }
}

function textOf(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const encoding = first === 0xff && second === 0xfe
    ? "utf-16le"
    : first === 0xfe && second === 0xff
    ? "utf-16be"
    : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}

/** What stands between the lines of dashes, each part in one piece. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  let part: string | null = null;
  for (const line of text.split(/[\r\n]+/).map((line) => line.trim())) {
    if (!MARK.test(line)) part = part === null ? null : part + line;
    else if (part === null || part === "") part = "";
    else {
      parts.push(part);
      part = null;
    }
  }
  return part ? [...parts, part] : parts;
}
