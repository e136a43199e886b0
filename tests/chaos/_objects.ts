import type { ObjectBucket } from "../../mod.ts";
import { random } from "../ledger/plan.ts";
import type { ClientContext } from "./_client_context.ts";

/** Objects that each client writes. */
const OBJECTS = 3;

/** Milliseconds between two steps. */
const PAUSE = 120;

/** The name of a client's object. */
export function objectName(client: number, index: number): string {
  return `object/${client}/${index}`;
}

/** The bytes of a version of an object. */
export function objectBytes(version: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(size, 8));
  for (let i = 8; i < bytes.length; i++) bytes[i] = (i * 31 + version) & 255;
  new DataView(bytes.buffer).setUint32(0, version);
  new DataView(bytes.buffer).setUint32(4, bytes.length);
  return bytes;
}

/** The version that these bytes are, all of them. @throws {Error} If they are no whole version. */
export function versionOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [version, size] = [view.getUint32(0), view.getUint32(4)];
  const wanted = objectBytes(version, size);
  if (size !== bytes.length || !wanted.every((byte, i) => byte === bytes[i])) {
    throw new Error(`${bytes.length} bytes are no whole version ${version} of ${size} bytes`);
  }
  return version;
}

/** Writes and deletes objects of its own, small and large, and reads those of all clients. */
export async function useObjects(context: ClientContext, objects: ObjectBucket, draw: (what: number) => number) {
  const versions = new Map<string, number>();
  await context.repeat(PAUSE, async (step) => {
    const of = (what: number) => random(context.seed, context.number, step, what, Math.floor(draw(2) * 1e6));
    const index = Math.floor(of(1) * OBJECTS);
    const streamed = of(5) < 0.3;
    if (of(2) < 0.5) {
      return await readObject(context, objects, Math.floor(of(3) * context.clients), index, streamed);
    }
    const key = objectName(context.number, index);
    const version = (versions.get(key) ?? 0) + 1;
    versions.set(key, version);
    const bytes = objectBytes(version, sizeOf(of(4), of(6)));
    const deletes = of(7) < 0.08;
    const call = deletes ? "delete object" : streamed ? "stream object in" : "put object";
    await context.write({ call, kind: "object", key, version, deletes }, () => {
      if (deletes) return objects.delete(key);
      return streamed ? objects.putStream(key, new Blob([bytes]).stream()) : objects.put(key, bytes);
    });
  });
}

/** Bytes of an object: mostly few, now and then many. */
function sizeOf(kind: number, share: number): number {
  return Math.floor(share * (kind < 0.6 ? 2_000 : kind < 0.93 ? 400_000 : 3_000_000));
}

async function readObject(
  context: ClientContext,
  objects: ObjectBucket,
  owner: number,
  index: number,
  streamed: boolean,
) {
  const key = objectName(owner, index);
  const strict = owner === context.number || context.replicas === 1;
  await context.read({ call: streamed ? "stream object out" : "get object", kind: "object", key, strict }, async () => {
    const stream = streamed ? await objects.getStream(key) : null;
    const bytes = streamed ? stream && await new Response(stream).bytes() : await objects.get(key);
    return bytes && versionOf(bytes);
  });
}
