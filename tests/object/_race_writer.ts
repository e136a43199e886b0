/** A process that replaces objects as fast as it can, until it is killed or has done so often: `<url> <bucket> <writer> <versions> <name>…` */
import { openStores } from "../_support/open_stores.ts";
import { raceVersion } from "./_race_version.ts";

const [url, bucketName, writer, versions, ...names] = Deno.args;
await using stores = openStores(url);
const bucket = stores.objectBucket(bucketName);
for (let n = 0; n < Number(versions); n++) {
  for (const name of names) {
    if (await bucket.put(name, raceVersion(writer, n)) === null) throw new Error(`Version ${n} is not confirmed`);
  }
  if (n === 0) console.log("begun");
}
console.log("done");
