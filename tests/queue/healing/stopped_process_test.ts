import { assertEquals } from "@std/assert";
import { waitUntil } from "../../_support/wait_until.ts";
import { Saying } from "../../ledger/saying.ts";

/** Milliseconds. */
const LEASE = 4_000;

Deno.test("JobConsumer that was stopped for longer than its lease does not run what was handed to it meanwhile", async () => {
  await using saying = await Saying.start(LEASE);
  const { queue } = saying;
  const stopped = saying.work();
  await queue.publish({ say: ["end"] }, { id: "before" });
  await saying.drained();
  await saying.waitedFor();
  stopped.signal("SIGSTOP");
  await queue.publish({ say: ["end"] }, { id: "during" });
  await waitUntil(async () => (await queue.counts())?.active === 1);
  const other = saying.work();
  await saying.drained();
  await other.finish();
  stopped.signal("SIGCONT");
  await queue.publish({ say: ["end"] }, { id: "after" });
  await waitUntil(() => saying.runs().some(({ id, pid }) => id === "after" && pid === stopped.pid));
  await saying.drained();
  assertEquals(saying.runs().map(({ id, pid }) => [id, pid]), [
    ["before", stopped.pid],
    ["during", other.pid],
    ["after", stopped.pid],
  ]);
});

for (const [maxAttempts, what] of [[5, "moves"], [1, "buries"]] as const) {
  Deno.test(`JobConsumer that was stopped in the middle of a run neither ${what} its job afterwards nor acknowledges it`, async () => {
    await using saying = await Saying.start(LEASE);
    const { queue } = saying;
    const stopped = saying.work();
    await queue.publish({ say: ["stop"] }, { id: "job", maxAttempts, backoff: 0 });
    await waitUntil(() => saying.runs().length === 1);
    const other = saying.work();
    await saying.drained();
    await other.finish();
    stopped.signal("SIGCONT");
    await queue.publish({ say: ["end"] }, { id: "after" });
    await waitUntil(() => saying.runs().length === 3);
    await saying.drained();
    assertEquals(saying.runs().map(({ id, pid }) => [id, pid]), [
      ["job", stopped.pid],
      ["job", other.pid],
      ["after", stopped.pid],
    ]);
    assertEquals(await saying.deadLetters(), []);
  });
}
