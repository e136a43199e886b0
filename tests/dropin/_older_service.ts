import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";
import { connect as connectVersion2 } from "nats";

/** What services did before with the official clients: the buckets by their names, values as text. */
export interface OlderService extends AsyncDisposable {
  storeHealthcheck(url: string, json: string): Promise<unknown>;
  loadHealthcheck(url: string): Promise<string | null>;
  deleteHealthcheck(url: string): Promise<unknown>;
  storeKV(key: string, value: string): Promise<unknown>;
  loadKV(key: string): Promise<string | null>;
  deleteKV(key: string): Promise<unknown>;
  purgeKV(key: string): Promise<unknown>;
}

type Opening = (url: string, ttl?: { kv?: number; objects?: number }) => Promise<OlderService>;

const text = (bytes: Uint8Array | null) => bytes && new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);

/** The same service over version 3 of the clients and over version 2; with the TTL of the buckets that it makes, in milliseconds. */
export const OLDER_SERVICES: Record<string, Opening> = {
  "@nats-io/kv and obj": async (url, { kv: kvTtl = 0, objects: objectTtl = 0 } = {}) => {
    const nc = await connect({ servers: url });
    const kv = await new Kvm(nc).create("supercheck_kv", { ttl: kvTtl });
    const os = await new Objm(nc).create("supercheck", { ttl: objectTtl * 1_000_000 });
    return {
      storeHealthcheck: (url, json) => os.putBlob({ name: url }, bytes(json)),
      loadHealthcheck: async (url) => text(await os.getBlob(url)),
      deleteHealthcheck: (url) => os.delete(url),
      storeKV: (key, value) => kv.put(key, value),
      loadKV: async (key) => text(valueOf(await kv.get(key))),
      deleteKV: (key) => kv.delete(key),
      purgeKV: (key) => kv.purge(key),
      [Symbol.asyncDispose]: () => nc.close(),
    };
  },
  "npm:nats 2": async (url, { kv: kvTtl = 0, objects: objectTtl = 0 } = {}) => {
    const nc = await connectVersion2({ servers: url });
    const js = nc.jetstream();
    const kv = await js.views.kv("supercheck_kv", { ttl: kvTtl });
    const os = await js.views.os("supercheck", { ttl: objectTtl * 1_000_000 });
    return {
      storeHealthcheck: (url, json) => os.putBlob({ name: url }, bytes(json)),
      loadHealthcheck: async (url) => text(await os.getBlob(url)),
      deleteHealthcheck: (url) => os.delete(url),
      storeKV: (key, value) => kv.put(key, bytes(value)),
      loadKV: async (key) => text(valueOf(await kv.get(key))),
      deleteKV: (key) => kv.delete(key),
      purgeKV: (key) => kv.purge(key),
      [Symbol.asyncDispose]: () => nc.close(),
    };
  },
};

function valueOf(entry: { operation: string; value: Uint8Array } | null): Uint8Array | null {
  return entry?.operation === "PUT" ? entry.value : null;
}
