import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

const JOBS = [{ data: 1, id: "a" }, { data: 2, id: "b" }, { data: 3, id: "c" }];

/** The connection breaks before the next acknowledgement arrives, and the next attempts to connect fail. */
function breakOnce(proxy: Proxy): { refused: () => number } {
  let [lost, refused] = [false, 0];
  proxy.tampering.drop = (subject, payload) => {
    if (lost || !subject.startsWith("_INBOX") || !payload.includes('"stream":"WQ_checks"')) return false;
    lost = true;
    setTimeout(() => proxy.cut());
    return true;
  };
  proxy.tampering.refuse = () => lost && refused < 3 && ++refused > 0;
  return { refused: () => refused };
}

for (
  const [what, publish, confirmed] of [
    [
      "JobQueue.publish of an open queue",
      (stores: QueueStores) => stores.publishJob("checks", 1, { id: "a" }).then((receipt) => [receipt]),
      [false],
    ],
    [
      "JobQueue.publish of a job with a key",
      (stores: QueueStores) => stores.publishJob("checks", 1, { id: "a", key: "k" }).then((receipt) => [receipt]),
      [false],
    ],
    ["JobQueue.publishMany", (stores: QueueStores) => stores.publishJobs("checks", JOBS), [false, false, false]],
    [
      "JobQueue.publishMany with atomic",
      (stores: QueueStores) => stores.publishJobs("checks", JOBS, { atomic: true }),
      [false, false, false],
    ],
  ] as const
) {
  Deno.test(`${what} outlives a loss of the connection whose first attempts to reconnect fail`, async () => {
    await using server = await startNatsServer();
    await using proxy = new Proxy(server.url);
    await using stores = new QueueStores(proxy.url, { timeout: 20_000 });
    await stores.publishJob("checks", 1, { id: "first", key: "k" });
    const { refused } = breakOnce(proxy);
    const receipts = await publish(stores);
    assertEquals(receipts?.map((receipt) => receipt?.duplicate), [...confirmed]);
    assertEquals(refused(), 3);
    const { high, normal, low, keyed } = (await stores.jobQueue("checks").counts())!.ready;
    assertEquals(high + normal + low + keyed, confirmed.length + 1);
  });
}
