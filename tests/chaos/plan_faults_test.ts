import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { FAULT_KINDS, planFaults } from "./plan_faults.ts";

const OPTIONS = { duration: 600_000, lease: 10_000, replicas: 3 };

Deno.test("planFaults draws the same faults from the same seed, and others from another", () => {
  assertEquals(planFaults({ seed: 5, ...OPTIONS }), planFaults({ seed: 5, ...OPTIONS }));
  assertNotEquals(planFaults({ seed: 5, ...OPTIONS }), planFaults({ seed: 6, ...OPTIONS }));
});

Deno.test("planFaults draws every kind of fault from each eighth seed, in the order of their times, within the duration", () => {
  const faults = planFaults({ seed: 8, ...OPTIONS });
  assertEquals(new Set(faults.map(({ kind }) => kind)), new Set(FAULT_KINDS));
  const alone = planFaults({ seed: 8, ...OPTIONS, replicas: 1 });
  assertEquals(alone.filter(({ kind }) => kind === "step_down" || kind === "rolling_restart"), []);
  for (const [i, { at, lasts, target, way }] of faults.entries()) {
    assert(at <= OPTIONS.duration && (i === 0 || at > faults[i - 1].at));
    assert(lasts >= 0 && lasts <= OPTIONS.lease * 1.3 && target < 1 && way < 1);
  }
  assert(faults.some(({ lasts }) => lasts > OPTIONS.lease));
});
