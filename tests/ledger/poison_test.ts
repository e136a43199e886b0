import { assertEquals } from "@std/assert";
import { Saying } from "./saying.ts";

Deno.test("JobConsumer buries a job that kills its workers after maxDeliveries, and runs the others", async () => {
  await using saying = await Saying.start(3_000);
  await saying.queue.publish({ say: ["die"] }, { id: "poison" });
  await saying.queue.publish({ say: ["end"] }, { id: "harmless" });
  let over = false;
  const supervise = async () => {
    while (!over) await saying.work({ maxDeliveries: 3 }).ended();
  };
  const supervised = supervise();
  await saying.drained();
  over = true;
  await saying.stop();
  await supervised;
  const runs = saying.runs();
  assertEquals(runs.filter(({ id }) => id === "poison").length, 3);
  assertEquals(runs.filter(({ id }) => id === "harmless").length, 1);
  const [[id, reason]] = await saying.deadLetters();
  assertEquals(id, "poison");
  assertEquals(
    reason,
    "The job was started repeatedly without a reported end (maxDeliveries: 3): it seems to kill its workers",
  );
});
