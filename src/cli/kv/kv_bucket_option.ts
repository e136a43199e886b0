import { Option } from "commander";

/** The bucket of `storeKV` and `loadKV`. */
export const OWN_KV_BUCKET = "supercheck_kv";

/** The option that names the bucket. */
export function kvBucketOption(): Option {
  return new Option("-b, --bucket <name>", "the bucket").default(OWN_KV_BUCKET);
}
