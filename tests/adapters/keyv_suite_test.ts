import { assert } from "@std/assert";
import { KeyvStore } from "../../src/adapters/keyv.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import Keyv6 from "../_support/packages/keyv.ts";
import Keyv5 from "../_support/packages/keyv5.ts";
import { openStores } from "../_support/open_stores.ts";
import { CollectedSuite } from "./_collected_suite.ts";
import { loadKeyvSuite } from "./_keyv_suite.ts";

const runs = Deno.env.get("INTEROP_RUNTIMES") === "1";
const unless = runs ? "" : " (not tested here: with INTEROP_RUNTIMES=1 only, as npm brings them)";

/** Tests of the suite, which was made for Keyv 5, that say what Keyv 6 itself does not do any more, whatever the store. */
const CHANGED_BY_KEYV_6 = {
  ".deleteMany([keys]) with nonexistent keys resolves to false": "Keyv 6 gives a boolean for each",
  "value can not be symbol": "Keyv 6 reports it as an event",
  "value can be BigInt using other serializer/deserializer": "Keyv 6 has other options for it",
};

for (const [version, Keyv, skipped] of [[5, Keyv5, {}], [6, Keyv6, CHANGED_BY_KEYV_6]] as const) {
  Deno.test({
    name: `KeyvStore passes Keyv's own tests of storage adapters with Keyv ${version}${unless}`,
    ignore: !runs,
    fn: async (test) => {
      await using server = await startNatsServer();
      await using stores = openStores(server.url);
      const bucket = stores.kvBucket("keyv");
      const { default: register, keyvIteratorTests } = await loadKeyvSuite();
      const suite = new CollectedSuite();
      register(suite, Keyv, () => new KeyvStore(bucket));
      // Keyv 5 iterates over stores that it knows by name only.
      if (version === 6) keyvIteratorTests(suite, Keyv, () => new KeyvStore(bucket));
      assert(suite.names.length > 30);
      await suite.run(test, skipped);
    },
  });
}
