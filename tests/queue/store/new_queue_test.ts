import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

Deno.test("JobQueue makes the consumers of a new queue once, however many handles publish to it first, and again when they are gone", async () => {
  await using server = await startNatsServer();
  let made = 0;
  const drop = (_: string, payload: string) => {
    if (payload.includes("consumer_create_response")) made++;
    return false;
  };
  await using proxy = new Proxy(server.url, { drop });
  await using stores = new QueueStores(proxy.url);
  const publishAll = () =>
    Promise.all(Array.from({ length: 30 }, (_, n) => stores.jobQueue("checks").publish(n, { id: `job${n}` })));
  assertEquals((await publishAll()).filter((receipt) => receipt === null), []);
  assertEquals(made, 3);
  await stores.jobQueue("checks").destroy();
  assertEquals((await publishAll()).filter((receipt) => receipt === null), []);
  assertEquals(made, 6);
});
