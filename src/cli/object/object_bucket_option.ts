import { Option } from "commander";

/** The bucket of `storeHealthcheck` and `loadHealthcheck`. */
export const OWN_OBJECT_BUCKET = "supercheck";

/** The option that names the bucket. */
export function objectBucketOption(): Option {
  return new Option("-b, --bucket <name>", "the bucket").default(OWN_OBJECT_BUCKET);
}
