import { assertEquals, assertMatch } from "@std/assert";
import { checkTicks } from "./check_ticks.ts";

const WATCHED = { interval: 1_000, from: 0, quietFrom: 5_000, quietTo: 10_000 };

function ticksAt(...times: number[]) {
  return times.map((at) => ({ at, pid: 1 }));
}

Deno.test("checkTicks accepts a schedule that ticks on, and misses ticks while faults are made", () => {
  assertEquals(checkTicks({ ticks: ticksAt(1_000, 2_000, 6_000, 7_000), ...WATCHED }), []);
});

Deno.test("checkTicks rejects a schedule that has ended, or ticks more often than it is to", () => {
  const [ended] = checkTicks({ ticks: ticksAt(1_000, 2_000), ...WATCHED });
  assertMatch(ended, /has not ticked for 5000 ms/);
  const [often] = checkTicks({ ticks: ticksAt(...Array.from({ length: 12 }, (_, i) => i * 800)), ...WATCHED });
  assertMatch(often, /ticked 12 times, and 11 times at most/);
});
