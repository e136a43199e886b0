import { headers } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { ObjectServer } from "./_object_server.ts";

/** Stores an object as a client does that makes a chunk of whatever its source gives. */
export async function putUneven(
  server: ObjectServer,
  bucket: string,
  name: string,
  chunks: Uint8Array[],
): Promise<void> {
  const nuid = crypto.randomUUID().replaceAll("-", "");
  const hash = createHash("sha256");
  for (const chunk of chunks) {
    hash.update(chunk);
    await server.nc.request(`$O.${bucket}.C.${nuid}`, chunk, { timeout: 10_000 });
  }
  const info = {
    name,
    bucket,
    nuid,
    size: chunks.reduce((size, { length }) => size + length, 0),
    chunks: chunks.length,
    digest: `SHA-256=${hash.digest("base64url")}=`,
    options: { max_chunk_size: 10 },
  };
  const rollup = headers();
  rollup.set("Nats-Rollup", "sub");
  const subject = `$O.${bucket}.M.${Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_")}`;
  await server.nc.request(subject, JSON.stringify(info), { timeout: 5_000, headers: rollup });
}
