import { Option } from "commander";

/** The library's own buckets, and the milliseconds that what is in them lives until a service says otherwise. */
export const OWN_BUCKETS = {
  /** That of `storeKV` and `loadKV`. */
  kv: { name: "supercheck_kv", ttl: 86_400_000 },
  /** That of `storeHealthcheck` and `loadHealthcheck`. */
  object: { name: "supercheck", ttl: 30_000 },
};

/** The option that names the bucket; without it, it is the library's own. */
export function bucketOption(kind: keyof typeof OWN_BUCKETS): Option {
  return new Option("-b, --bucket <name>", "the bucket").default(OWN_BUCKETS[kind].name);
}
