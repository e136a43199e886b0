import { assertEquals } from "@std/assert";
import { connect as connectVersion2 } from "nats";
import { headers } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** The headers that a server gives a message that it publishes again (RePublish), or answers a direct get with. */
function headersOfAnotherStream() {
  const all = headers();
  all.append("Nats-Stream", "OTHER");
  all.append("Nats-Subject", "other.subject");
  all.append("Nats-Sequence", "4711");
  all.append("Nats-Time-Stamp", "2001-01-01T00:00:00.000Z");
  all.append("Own", "x");
  return all;
}

Deno.test("DirectMessage reads where the message is stored, not where its publisher says that it was stored before", async () => {
  await using server = await startNatsServer();
  await using old = await connectVersion2({ servers: server.url }).then((nc) => ({
    nc,
    [Symbol.asyncDispose]: () => nc.close(),
  }));
  const nc = await connect({ servers: server.url });
  await using own = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    logger: new CollectedLog(),
    env: () => undefined,
  });
  await own.kvBucket("fed").put("first", "1");
  await nc.request("$KV.fed.second", "2", { timeout: 5_000, headers: headersOfAnotherStream() });
  await nc.close();
  await using adopting = new JetStreamStores({ logger: new CollectedLog(), env: () => undefined });
  adopting.useConnection(old.nc);
  for (const stores of [own, adopting]) {
    const entry = (await stores.kvBucket("fed").get("second"))!;
    assertEquals([entry.key, entry.text(), entry.revision, entry.created.getFullYear() > 2001], [
      "second",
      "2",
      2,
      true,
    ]);
    const found = await stores.kvBucket("fed").getMany(["first", "second"]);
    assertEquals([...found!.keys()].sort(), ["first", "second"]);
  }
});
