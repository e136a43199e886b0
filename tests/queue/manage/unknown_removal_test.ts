import { assertEquals } from "@std/assert";
import { UnrecoverableJobError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { openStores } from "../../_support/open_stores.ts";
import { Proxy } from "../../_support/proxy.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const test = testFrom("2.14");

/** What a server of a cluster answers that knows no leader, while another one leads and does what was requested. */
const NO_LEADER = JSON.stringify({
  type: "io.nats.jetstream.api.v1.response",
  error: { code: 503, err_code: 10008, description: "JetStream system temporarily unavailable" },
});

test("JobQueue says null of a removal that was done though a server without a leader answered first", async () => {
  await using server = await startNatsServer();
  let isNext = "";
  const change = (_: string, payload: string) => {
    if (isNext === "" || !payload.includes(isNext)) return undefined;
    isNext = "";
    return NO_LEADER;
  };
  await using proxy = new Proxy(server.url, { change });
  await using others = openStores(server.url);
  await using stores = openStores(proxy.url);
  const queue = stores.jobQueue("checks");
  for (const id of ["dead", "listed"]) await queue.publish(null, { id });
  {
    await using consumer = others.jobQueue("checks").consume(() => {
      throw new UnrecoverableJobError("no");
    });
    await waitUntil(() => consumer.status().ended.dead === 2);
  }
  await queue.publish(null, { id: "waiting" });
  await queue.publish(null, { id: "more" });
  await queue.schedule("daily", { every: 86_400_000, data: null });
  isNext = "msg_delete_response";
  for (const id of ["listed1", "listed2"]) await queue.publish(null, { id });
  assertEquals(await queue.cancel({ idPrefix: "listed" }), { matched: 2, done: 2 });
  assertEquals(isNext, "");
  const removals: [answer: string, remove: () => Promise<unknown>][] = [
    ["msg_delete_response", () => queue.cancel("waiting")],
    ["msg_delete_response", () => queue.discard("dead")],
    ["msg_delete_response", () => queue.unschedule("daily")],
    ["stream_purge_response", () => queue.purge()],
    ["stream_delete_response", () => queue.destroy()],
  ];
  for (const [answer, remove] of removals) {
    isNext = answer;
    assertEquals([await remove(), isNext], [null, ""], String(remove));
    if (answer === "stream_purge_response") {
      // What is gone is what was to be removed.
      isNext = "msg_delete_response";
      assertEquals(await queue.discard({ idPrefix: "listed" }), { matched: 1, done: 1 });
    }
  }
  for (const remove of [() => queue.cancel("waiting"), () => queue.discard("dead"), () => queue.destroy()]) {
    assertEquals(await remove(), false, String(remove));
  }
});
